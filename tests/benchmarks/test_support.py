"""`benchmarks support`."""

import json

import tensorflow as tf
from click.testing import CliRunner
from networks import layers

from benchmarks import support
from benchmarks.__main__ import main
from keras_backtrack.graph.compat import keras


def test_support_table(monkeypatch, tmp_path):
    def build(name, size):
        image = keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3, activation="relu")(image)
        x = layers.Lambda(lambda x: tf.math.cumprod(x))(x) if name == "Odd" else x
        return keras.Model(image, layers.Dense(5)(layers.Flatten()(x))), 8

    monkeypatch.setattr(support, "build", build)
    arguments = ["support", "Plain", "Odd", "--rounds", "3", "--out", str(tmp_path)]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    (path,) = tmp_path.glob("support-keras-*.json")
    odd, plain = json.loads(path.read_text())["rows"]
    assert plain["works"] and plain["nodes"] > 0 and plain["ratio"] > 0
    assert not odd["works"] and "UnsupportedLayerError" in odd["error"]
    page = (tmp_path / "SUPPORT.md").read_text()
    assert f"Keras {keras.__version__}" in page and "| Plain | 8 | yes |" in page
    # Others' results stay.
    arguments = ["support", "Odd", "--out", str(tmp_path)]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    assert [row["network"] for row in json.loads(path.read_text())["rows"]] == ["Odd", "Plain"]
