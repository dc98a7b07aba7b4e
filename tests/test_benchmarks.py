"""The benchmarks measure what they say. How long anything takes decides no test."""

import json

import numpy as np
import tensorflow as tf
from click.testing import CliRunner
from networks import layers

from benchmarks import cost, support
from benchmarks.__main__ import main
from benchmarks.timing import alternate, summary
from keras_backtrack.compat import keras


def test_contenders_take_turns():
    ran = []
    times = alternate({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, 3, warm_up=1)
    assert "".join(ran) == "ab" + "ab" + "ba" + "ab"
    assert {name: len(t) for name, t in times.items()} == {"a": 3, "b": 3}
    assert summary([3.0, 1.0, 2.0]) == {"median": 2.0, "q1": 1.5, "q3": 2.5}


def test_cost_of_a_network(monkeypatch, tmp_path):
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(5, activation="softmax")(x))
    monkeypatch.setattr(cost, "QUICK", [cost.Case("small", 8, 2)])
    monkeypatch.setattr(cost, "build", lambda case: model)
    path = tmp_path / "results" / "cost.json"
    arguments = ["cost", "--quick", "--loops", "--rounds", "3", "--out", str(path)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0 and "small" in result.output
    record = json.loads(path.read_text())
    (row,) = record["rows"]
    assert record["host"]["packages"]["keras"] == keras.__version__
    assert row["network"] == "small" and row["batch"] == 2 and len(row["pixels"]) == 2
    forward = min(row["compiled"]["median"], row["predict_on_batch"]["median"])
    assert np.isclose(row["ratio"], row["explain"]["median"] / forward, rtol=0.01)
    assert row["loops_seconds"] >= 0


def test_support_table(monkeypatch, tmp_path):
    def build(name):
        image = keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3, activation="relu")(image)
        x = layers.Lambda(lambda x: tf.sort(x))(x) if name == "Odd" else x
        return keras.Model(image, layers.Dense(5)(layers.Flatten()(x))), 8

    monkeypatch.setattr(support, "build", build)
    arguments = ["support", "Plain", "Odd", "--rounds", "3", "--out", str(tmp_path)]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    (path,) = tmp_path.glob("support-keras-*.json")
    plain, odd = json.loads(path.read_text())["rows"]
    assert plain["works"] and plain["nodes"] > 0 and plain["ratio"] > 0
    assert not odd["works"] and "UnsupportedLayerError" in odd["error"]
    page = (tmp_path / "SUPPORT.md").read_text()
    assert f"Keras {keras.__version__}" in page and "| Plain | 8 | yes |" in page
