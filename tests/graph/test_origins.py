"""Models that come from elsewhere: SavedModels, and another Keras."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from networks import layers

from keras_backtrack import BacktrackExplainer, UnsupportedLayerError
from keras_backtrack.callbacks import BacktrackCallback
from keras_backtrack.graph.compat import keras


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A SavedModel of a Dense layer: the folder, and its kernel."""
    image = keras.Input((4,))
    model = keras.Model(image, layers.Dense(3, name="head")(image))
    folder = tmp_path_factory.mktemp("saved")
    model.export(str(folder))
    return folder, np.asarray(model.get_layer("head").kernel)


@pytest.mark.skipif(not hasattr(layers, "TFSMLayer"), reason="Keras 2.15 loads SavedModels itself")
def test_a_saved_model_in_a_layer(saved, rng):
    """Opaque: it is said what is in the way and what helps, and the gradient is exact."""
    folder, kernel = saved
    layer = layers.TFSMLayer(folder, call_endpoint="serving_default")
    model = keras.Sequential([keras.Input((4,)), layer])
    with pytest.raises(
        UnsupportedLayerError, match=r"(?s)fallback='gradient'.*TFSMLayer.*what a SavedModel holds"
    ):
        BacktrackExplainer(model)
    x = rng.normal(size=(2, 4)).astype("float32")
    settings = {"method": "posterior", "contrast": False, "fallback": "gradient"}
    e = BacktrackExplainer(model, **settings).explain(x, 1)
    for row, values in enumerate(x):
        want = np.maximum(values * kernel[:, 1], 0)
        got = np.zeros(4)
        got[e.pixels[row][:, 0]] = e.mass[row]
        np.testing.assert_allclose(got, want / want.sum(), atol=1e-6)


def test_what_tensorflow_loads(saved):
    loaded = tf.saved_model.load(str(saved[0]))
    for given in (loaded, loaded.signatures["serving_default"]):
        with pytest.raises(TypeError, match=r"functions alone.*TFSMLayer.*Received"):
            BacktrackExplainer(given)


def test_a_layer_alone():
    with pytest.raises(TypeError, match=r"becomes one with an input.*Received"):
        BacktrackExplainer(layers.Dense(3))


def test_a_model_of_another_keras():
    """Also where it is trained with our callback, which `fit` tells of its model first."""
    other = type("Model", (), {"__module__": "tf_keras.src.engine.training"})()
    for take in (BacktrackExplainer, BacktrackCallback(np.ones((1, 4))).set_model):
        with pytest.raises(TypeError, match=r"TF_USE_LEGACY_KERAS=1.*model\.h5.*Received"):
            take(other)


LEGACY = """
import numpy as np, tensorflow as tf
from keras_backtrack import BacktrackExplainer
from keras_backtrack.callbacks import BacktrackCallback

layers = tf.keras.layers
image = tf.keras.Input((8, 8, 2))
x = layers.SeparableConv2D(3, 3, activation="relu")(image)
x = layers.BatchNormalization()(x) * 2.0
model = tf.keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
x = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype("float32")
e = BacktrackExplainer(model).explain(x)
np.testing.assert_allclose(e.scores, model.predict(x, verbose=0).max(axis=1), rtol=1e-5)
np.testing.assert_allclose(e.input_mass.sum(axis=1) + e.lost, 1, atol=1e-5)
model.compile("sgd", "categorical_crossentropy")
watch = BacktrackCallback(x)
model.fit(x, np.eye(3)[:2], callbacks=[watch], verbose=0)
print("records", len(watch.records))
"""


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("tf_keras"), reason="needs tf_keras")
def test_tf_keras():
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root), *sys.path])
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": path}
    command = [sys.executable, "-c", LEGACY]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "records 2" in found.stdout, found.stderr[-2000:]
