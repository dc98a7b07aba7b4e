"""`benchmarks peers`."""

import json

import numpy as np
from click.testing import CliRunner
from networks import layers

from benchmarks.__main__ import main
from benchmarks.maps import contenders
from benchmarks.speed import beside_peers
from keras_backtrack.graph.compat import keras


def test_beside_peers(monkeypatch, tmp_path):
    """All that run are timed, and what breaks says why."""
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(5, activation="softmax")(x))

    def broken(subject):
        raise AttributeError("no such thing\nand more")

    def wants_a_mean(subject):
        raise contenders.DoesNotApply("needs a global average")

    methods = {"ours": contenders.ours(), "peer": broken, "other": wants_a_mean}
    monkeypatch.setattr("benchmarks.commands.options.CONTENDERS", methods)
    monkeypatch.setattr(beside_peers, "build", lambda case: model)
    path = tmp_path / "peers.json"
    arguments = ["peers", "--size", "32", "--rounds", "3", "--out", str(path)]
    monkeypatch.setattr(beside_peers, "images", lambda case: np.ones((1, 8, 8, 3), np.float32))
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0 and "ours" in result.output
    rows = {row["method"]: row for row in json.loads(path.read_text())["rows"]}
    forward, own = rows["forward pass"], rows["ours"]
    expected = own["milliseconds"]["median"] / forward["milliseconds"]["median"]
    assert forward["ratio"] == 1 and np.isclose(own["ratio"], expected, rtol=0.01)
    assert rows["peer"]["error"] == "AttributeError: no such thing"
    assert rows["other"]["error"] == "does not apply: it needs a global average"
    assert CliRunner().invoke(main, ["peers", "--network", "AlexNet"]).exit_code == 2
    result = CliRunner().invoke(main, [*arguments, "--method", "ours"], catch_exceptions=False)
    assert "ours" in result.output and "no such thing" not in result.output
