"""Layers without a rule, served by their gradient."""

import numpy as np
import pytest
import tensorflow as tf

from keras_backtrack import BacktrackExplainer, UnsupportedLayerError
from keras_backtrack.graph.compat import keras
from keras_backtrack.graph.recording import record_call
from keras_backtrack.rules import registry

layers = keras.layers

LINEAR = [
    (layers.Dense(4), (6, 3)),
    (layers.Conv2D(3, 3, strides=2, padding="same"), (7, 6, 2)),
    (layers.Conv2DTranspose(3, 3, strides=2), (4, 4, 2)),
    (layers.DepthwiseConv2D(3), (6, 6, 2)),
    (layers.AveragePooling2D(2), (6, 6, 2)),
    (layers.GlobalAveragePooling2D(), (5, 4, 3)),
    (layers.ZeroPadding2D(1), (4, 4, 2)),
    (layers.EinsumDense("abc,cde->abde", (6, 2, 3)), (6, 4)),
    (layers.UpSampling2D(2, interpolation="bilinear"), (4, 4, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), LINEAR, ids=lambda v: getattr(v, "name", ""))
def test_gradient_is_the_written_rule(layer, shape, monkeypatch, rng):
    """All contributions of a linear layer are W·A, whoever finds them."""
    x = image = keras.Input(shape)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(layer(x))))
    x = rng.normal(size=(2, *shape))
    written = BacktrackExplainer(model, method="posterior").explain(x)
    for cls in [cls for cls in registry._RULES if isinstance(layer, cls)]:
        monkeypatch.delitem(registry._RULES, cls)
    # Or layers would be recorded as these.
    monkeypatch.setattr(registry, "_OPERATIONS", {})
    monkeypatch.setattr("keras_backtrack.graph.from_keras.traced", record_call)
    monkeypatch.setattr("keras_backtrack.graph.from_keras.as_layer", lambda *call: None)
    explainer = BacktrackExplainer(model, method="posterior", fallback="gradient")
    assert "fallback.gradient" in explainer.summary()
    served = explainer.explain(x)
    for i in range(2):
        np.testing.assert_array_equal(served.pixels[i], written.pixels[i])
        np.testing.assert_allclose(served.mass[i], written.mass[i], atol=1e-5)


@tf.function
def difference(x, y):
    return x * 2.0 - y


class Wave(layers.Layer):
    """Nothing that could be recorded, and one operation to TensorFlow."""

    def call(self, x, y):
        return difference(x, y)

    def compute_output_shape(self, x, y):
        return x


def wave():
    first, second = keras.Input((4,)), keras.Input((4,))
    shape = (None, 4)
    layer = Wave()
    layer.compute_output_spec = lambda x, y: keras.KerasTensor(shape, "float32")
    return keras.Model([first, second], layer(first, second))


@pytest.mark.skipif(not hasattr(keras, "KerasTensor"), reason="Keras 2.15 records anything")
@pytest.mark.parametrize("method", ["viterbi", "posterior"])
def test_two_inputs(method):
    model, x = wave(), [np.ones((1, 4)), -np.ones((1, 4))]
    with pytest.raises(UnsupportedLayerError, match="fallback='gradient'.*Received"):
        BacktrackExplainer(model, method=method)
    e = BacktrackExplainer(model, method=method, fallback="gradient").explain(x, 2)
    np.testing.assert_allclose(e.input_mass, [[2 / 3, 1 / 3]], atol=1e-6)
    assert e.pixels[0].tolist() == [[2]] and e.of(e.inputs[1]).pixels[0].tolist() == [[2]]


def test_unknown_fallback():
    with pytest.raises(ValueError, match="'gradient' or None. Received: 'lime'"):
        BacktrackExplainer(wave() if hasattr(keras, "KerasTensor") else None, fallback="lime")
