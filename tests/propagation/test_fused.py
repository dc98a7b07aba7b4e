"""Convolutions run together with the normalisations behind them."""

import numpy as np
import pytest
import tensorflow as tf

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.propagation.fused import Fused
from keras_backtrack.rules import read_model
from keras_backtrack.rules.packed_weights import PackedWeights

layers = keras.layers

CONVOLUTIONS = {
    "1-D": ((9, 3), lambda: layers.Conv1D(4, 3, strides=2, use_bias=False)),
    "2-D": ((8, 9, 3), lambda: layers.Conv2D(4, (3, 2), padding="same")),
    "dilated": ((8, 9, 3), lambda: layers.Conv2D(4, 3, dilation_rate=(2, 1))),
    "3-D": ((5, 6, 4, 2), lambda: layers.Conv3D(4, 2, strides=2)),
    "depthwise": (
        (8, 9, 3),
        lambda: layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
    ),
}
NORMALISATIONS = {
    "whole": lambda: layers.BatchNormalization(),
    "no scale": lambda: layers.BatchNormalization(scale=False, epsilon=0.1),
    "no center": lambda: layers.BatchNormalization(axis=-1, center=False),
}


def network(shape, convolution, normalisation, between=()):
    inputs = keras.Input(shape)
    h = convolution(inputs)
    for layer in between:
        h = layer(h)
    h = layers.Flatten()(layers.ReLU()(normalisation(h)))
    return keras.Model(inputs, layers.Dense(3)(h))


def give_weights(model, rng):
    """Any numbers: variances above 0, gammas of either sign."""
    for layer in model.layers:
        weights = [rng.normal(size=w.shape).astype(np.float32) for w in layer.get_weights()]
        if isinstance(layer, layers.BatchNormalization):
            weights[-1] = np.abs(weights[-1]) + 0.1
        layer.set_weights(weights)


def fused_pairs(model):
    return len(Fused(read_model(model), PackedWeights()).instead([])) // 2


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_both_are_run_as_one_with_the_weights_that_the_model_has(convolution, normalisation, rng):
    shape, make = CONVOLUTIONS[convolution]
    model = network(shape, make(), NORMALISATIONS[normalisation]())
    assert fused_pairs(model) == 1
    explainer = BacktrackExplainer(model)
    x = rng.normal(size=(4, *shape)).astype(np.float32)
    for _ in range(2):
        give_weights(model, rng)
        e = explainer.explain(x, 1)
        np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 1], 1e-4, 1e-4)
        # Of which nothing is fused, since every activation is wanted.
        plain = BacktrackExplainer(model)
        plain._program._keep_activations = True
        for found, expected in zip(e.mass, plain.explain(x, 1).mass, strict=True):
            np.testing.assert_allclose(found, expected, 1e-3, 1e-5)


def with_adapter():
    layer = layers.Conv2D(4, 3)
    layer.build((None, 8, 8, 3))
    if not hasattr(layer, "enable_lora"):
        pytest.skip("This Keras has no adapters.")
    layer.enable_lora(2)
    return layer


@pytest.mark.parametrize(
    ("convolution", "normalisation", "between"),
    [
        (lambda: layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization, ()),
        (lambda: layers.Conv2D(3, 3, groups=3), layers.BatchNormalization, ()),
        (with_adapter, layers.BatchNormalization, ()),
        (lambda: layers.Conv2D(4, 3), lambda: layers.BatchNormalization(axis=1), ()),
        (lambda: layers.Conv2D(4, 3), layers.LayerNormalization, ()),
        (lambda: layers.Conv2D(4, 3, dtype="mixed_float16"), layers.BatchNormalization, ()),
        (lambda: layers.Conv2D(4, 3), layers.BatchNormalization, (layers.ReLU(),)),
        (lambda: layers.Conv2DTranspose(4, 3), layers.BatchNormalization, ()),
    ],
)
def test_what_is_not_both_in_one_runs_as_it_is(convolution, normalisation, between):
    assert fused_pairs(network((8, 8, 3), convolution(), normalisation(), between)) == 0


def test_a_convolution_that_is_read_twice_runs_as_it_is(rng):
    inputs = keras.Input((8, 8, 3))
    h = layers.Conv2D(4, 3)(inputs)
    h = layers.Add()([h, layers.BatchNormalization()(h)])
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(h)))
    give_weights(model, rng)
    assert fused_pairs(model) == 0
    x = rng.normal(size=(2, 8, 8, 3)).astype(np.float32)
    e = BacktrackExplainer(model).explain(x, 0)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 0], 1e-5, 1e-5)


def test_weights_that_change_between_two_calls_are_seen_by_all(rng):
    model = network(
        (8, 9, 3), *(make() for make in (CONVOLUTIONS["2-D"][1], layers.BatchNormalization))
    )
    give_weights(model, rng)
    explainer = BacktrackExplainer(model)
    x = rng.normal(size=(2, 8, 9, 3)).astype(np.float32)
    explainer.explain(x)
    # A statistic alone, as training in inference mode of all else would change it.
    mean = model.layers[2].moving_mean
    mean.assign(tf.convert_to_tensor(mean) + 1.0)
    e = explainer.explain(x, 0)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 0], 1e-4, 1e-4)
    fresh = BacktrackExplainer(model).explain(x, 0)
    for found, expected in zip(e.mass, fresh.mass, strict=True):
        np.testing.assert_array_equal(found, expected)
