"""`benchmarks run`."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from networks import layers

from benchmarks.__main__ import main
from benchmarks.speed import folders
from keras_backtrack.graph.compat import keras


def test_rate_of_actors_without_their_start():
    first = [(10.0, 16), (11.0, 16), (12.0, 16), (13.0, 16)]  # 16 a second
    late = [(11.5, 16), (12.0, 16), (12.5, 16), (20.0, 4)]  # 32 a second, then the rest
    assert folders.steady_rate([first]) == 16
    assert folders.steady_rate([first, late]) == 16 + 32
    with pytest.raises(ValueError, match=r"too few pictures.*Received: 64 pictures"):
        folders.steady_rate([first[:3], [(11.9, 16)]])


def test_pictures_a_second_of_run(monkeypatch, tmp_path):
    image = keras.Input((32, 32, 3))
    x = layers.MaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    keras.Model(image, layers.Dense(5)(layers.Flatten()(x))).save(tmp_path / "model.keras")
    out = tmp_path / "run.json"
    arguments = ["run", "--count", "96", "--rounds", "2", "--out", str(out)]
    result = CliRunner().invoke(main, [*arguments, "--model", str(tmp_path / "model.keras")])
    assert result.exit_code == 0, result.output
    row = json.loads(out.read_text())["rows"]["run ÷ explain"]
    rates = row["pictures_a_second"]
    # The ratio is written with three decimals.
    ratio = rates["run"]["median"] / rates["explain"]["median"]
    assert np.isclose(row["ratio"], ratio, rtol=0, atol=0.001)
