"""Models that can be read, and what is said of others."""

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer, UnsupportedLayerError, UnsupportedModelError
from keras_backtrack.graph.compat import keras


def test_several_outputs_need_a_choice():
    image = keras.Input((4,))
    outputs = [layers.Dense(2, name="first")(image), layers.Dense(3, name="second")(image)]
    model = keras.Model(image, outputs)
    with pytest.raises(ValueError, match=r"2 outputs: choose one.*Received: output=None"):
        BacktrackExplainer(model)
    with pytest.raises(ValueError, match=r"no such output.*Received: output='third'"):
        BacktrackExplainer(model, output="third")
    e = BacktrackExplainer(model, output=1).explain(np.ones((1, 4)))
    assert e.layers == ["second"]


def test_unbuilt_model():
    with pytest.raises(ValueError, match="not built yet.*Received: unbuilt model"):
        BacktrackExplainer(keras.Sequential([layers.Dense(2)]))


class Choosy(keras.Model):
    """What its `call` does depends on numbers that are not known beforehand."""

    def call(self, x):
        return x if float(x[0, 0]) > 0 else -x


def test_subclassed_model_that_cannot_be_recorded():
    model = Choosy()
    with pytest.raises(ValueError, match="Call it once.*Received: unbuilt model"):
        BacktrackExplainer(model)
    model(np.ones((1, 3), np.float32))
    with pytest.raises(UnsupportedModelError, match="Functional API.*Received: model"):
        BacktrackExplainer(model)


def test_no_model():
    with pytest.raises(TypeError, match=r"keras.Model.*Received: 3"):
        BacktrackExplainer(3)


class Hostile(layers.Layer):
    """A cell whose step fails on symbolic tensors."""

    units = state_size = output_size = 3

    def call(self, x, states, training=False):
        raise RuntimeError("not today") if keras.backend.is_keras_tensor(x) else None


def wavy(x):
    return x if float(x[0, 0]) > 0 else -x


@pytest.mark.parametrize("kind", ["cell", "activation"])
def test_the_reason_is_told(kind, monkeypatch):
    """Of what a layer does inside, too: the line, and what was wrong there."""
    image = keras.Input((4, 3))
    x = layers.SimpleRNN(3, name="rnn")(image)
    if kind == "activation":
        x = layers.Dense(3, name="own")(x)
    model = keras.Model(image, layers.Dense(2)(x))
    if kind == "cell":
        cell = model.get_layer("rnn").cell
        monkeypatch.setattr(type(cell), "call", Hostile.call)
        want = r"'rnn'.*cell does cannot be recorded; RuntimeError: not today \(line \d+ of .*raise"
    else:
        model.get_layer("own").activation = wavy
        want = r"'own'.*activation.*; its `call` cannot be followed.*line \d+ of .*float\(x"
    with pytest.raises(UnsupportedLayerError, match=f"(?s){want}"):
        BacktrackExplainer(model)
