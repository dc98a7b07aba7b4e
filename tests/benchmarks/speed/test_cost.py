"""`benchmarks cost`. How long anything takes decides no test."""

import json

import numpy as np
from click.testing import CliRunner
from networks import layers

from benchmarks.__main__ import main
from benchmarks.speed import cases, cost
from keras_backtrack.graph.compat import keras


def test_cost_of_a_network(monkeypatch, tmp_path):
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(5, activation="softmax")(x))
    monkeypatch.setattr(cases, "QUICK", [cases.Case("small", 8, 2, "viterbi", contrast=False)])
    monkeypatch.setattr(cost, "build", lambda case: model)
    path = tmp_path / "results" / "cost.json"
    arguments = ["cost", "--quick", "--loops", "--no-memory", "--rounds", "3", "--out", str(path)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0 and "small" in result.output
    record = json.loads(path.read_text())
    (row,) = record["rows"]
    assert record["host"]["packages"]["keras"] == keras.__version__
    assert row["network"] == "small" and row["batch"] == 2 and len(row["pixels"]) == 2
    forward = min(row["compiled"]["median"], row["predict_on_batch"]["median"])
    assert np.isclose(row["ratio"], row["explain"]["median"] / forward, rtol=0.01)
    assert row["loops_seconds"] >= 0
