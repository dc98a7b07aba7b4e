"""`benchmarks libraries`, of networks that need none."""

import importlib.metadata
import json

import pytest
import tensorflow as tf
from click.testing import CliRunner
from networks import layers

from benchmarks import libraries
from benchmarks.__main__ import main
from keras_backtrack.graph.compat import keras


def pictures(odd=False):
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    x = layers.Lambda(lambda x: tf.math.cumprod(x))(x) if odd else x
    return keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))


def tokens():
    """Rows of tokens and a mask by name, and two outputs, of vectors."""
    given = {name: keras.Input((None,), dtype="int32", name=name) for name in ("words", "mask")}
    x = layers.Embedding(40, 4)(given["words"])
    y = layers.Dense(4)(x) + layers.Embedding(2, 4)(given["mask"])
    return keras.Model(given, {"first": x, "second": y})


def build_none():
    raise ValueError("cannot be built")


_NETWORKS = {
    "pictures": pictures,
    "tokens": tokens,
    "odd": lambda: pictures(odd=True),
    "none": build_none,
}


def run(*arguments):
    return CliRunner().invoke(main, ["libraries", *arguments], catch_exceptions=False)


@pytest.mark.slow
def test_table(monkeypatch, tmp_path):
    monkeypatch.setattr(libraries, "builders", lambda library: _NETWORKS)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.2.3")
    out = ("--out", str(tmp_path), "--rounds", "3")
    assert run("keras-hub", *out).exit_code == 0
    path = tmp_path / "libraries-keras-hub.json"
    rows = {row["network"]: row for row in json.loads(path.read_text())["rows"]}
    assert list(rows) == list(_NETWORKS)
    assert rows["pictures"]["works"] and rows["tokens"]["works"]
    assert rows["tokens"]["first_call_seconds"] > 0 and rows["tokens"]["later_call_seconds"] > 0
    assert "UnsupportedLayerError" in rows["odd"]["error"]
    assert rows["none"]["error"] == "ValueError: cannot be built"
    page = (tmp_path / "SUPPORT.md").read_text()
    assert "keras-hub 1.2.3" in page and "2 of 4 do" in page and "| pictures | yes |" in page
    # Others' results stay.
    assert run("keras-hub", "none", *out).exit_code == 0
    assert len(json.loads(path.read_text())["rows"]) == 4
    assert "one of" in run("keras-hub", "other", *out).output


def test_a_library_that_is_not_there(monkeypatch):
    def missing(library):
        raise ImportError("No module named 'keras_hub'")

    monkeypatch.setattr(libraries, "builders", missing)
    answer = run("keras-hub")
    assert answer.exit_code == 2 and "keras-hub is needed" in answer.output


@pytest.mark.parametrize("name", libraries.LIBRARIES)
def test_each_library_has_its_extra(name, request):
    text = (request.config.rootpath / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"{name}>=' in text
