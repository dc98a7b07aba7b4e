"""Layers that the random networks do not draw, against the plain loops."""

import numpy as np
import pytest
import tensorflow as tf
from networks import assert_equals_reference, images, layers, randomise_all

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import KERAS_3, keras
from keras_backtrack.propagation.limits import Limits


class Scaled(layers.Layer):
    """The variable stands first in every product, where Keras 3 leaves symbolic tensors alone."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")
        self.built = True

    def call(self, x):
        return self.factor - self.factor * x


def augmented():
    image = keras.Input((9, 8, 3))
    x = layers.RandomContrast(0.1)(layers.RandomFlip()(image))
    x = layers.Conv2D(4, 2, activation="relu")(Scaled()(layers.CenterCrop(6, 7)(x)))
    return keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))


def adaptive():
    image = keras.Input((9, 8, 3))
    x = layers.Conv2D(4, 2, activation="tanh")(image)
    x = layers.AdaptiveMaxPooling2D((3, 4))(x)
    return keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))


def additive_attention():
    signal = keras.Input((5, 3))
    query, value = layers.Dense(4)(signal), layers.Dense(4, activation="tanh")(signal)
    x = layers.AdditiveAttention()([query, value])
    return keras.Model(signal, layers.Dense(5)(layers.Flatten()(x)))


def convolutional_lstm():
    film = keras.Input((3, 5, 4, 2))
    x = layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True)(film)
    x = layers.ConvLSTM2D(2, 2, strides=2, go_backwards=True, use_bias=False)(x)
    return keras.Model(film, layers.Dense(5)(layers.Flatten()(x)))


def convolutional_lstm_over_signals():
    film = keras.Input((3, 6, 2))
    x = layers.ConvLSTM1D(2, 2, activation="relu", recurrent_activation="sigmoid")(film)
    return keras.Model(film, layers.Dense(5)(layers.Flatten()(x)))


def divided():
    """Where 0 is divided, as at dead units, the mass goes on all the same."""
    image = keras.Input((4, 4, 2))
    x = layers.ReLU()(image)
    x = 2.0 - x / (1.0 + layers.ReLU()(layers.Conv2D(2, 3, padding="same")(image)))
    return keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))


NETWORKS = [
    divided,
    augmented,
    additive_attention,
    convolutional_lstm,
    convolutional_lstm_over_signals,
]


@pytest.mark.parametrize("limits", [Limits(3, 2, 2, False), None], ids=["best paths", "all paths"])
@pytest.mark.parametrize("network", NETWORKS + [adaptive] * KERAS_3)
def test_equals_reference(network, limits, plain_graphs):
    model = network()
    randomise_all(model, 1, exact=False)
    x = images(model, 2, 2, exact=False)
    assert_equals_reference(model, x, np.array([[0, 1], [2, 3]]), limits)


class Deviation(layers.Layer):
    """A row of learned numbers, the same for all images."""

    def build(self, shape):
        self.row = self.add_weight(shape=(shape[-1],), initializer="ones", name="row")
        self.built = True

    def call(self, x):
        return tf.reshape(self.row, (1, -1))


@pytest.mark.parametrize("contrast", [True, False])
@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
def test_divided_by_the_same_for_all_images(method, contrast, rng):
    """The divisor has one row, whichever image a node is of."""
    image = keras.Input((4,))
    x = layers.Dense(5, name="linear")(image)
    model = keras.Model(image, layers.Dense(3)(x / Deviation()(x)))
    randomise_all(model, 1, exact=False)
    x = rng.normal(size=(3, 4))
    explainer = BacktrackExplainer(model, method=method, contrast=contrast)
    e = explainer.explain(x, [[0, 1, 2]] * 3)
    np.testing.assert_allclose([m.sum() for m in e.mass] + e.lost, 1, atol=1e-5)
    assert all(map(len, e.pixels))
    for i in range(3):
        alone = explainer.explain(x[i : i + 1], [[0, 1, 2]])
        np.testing.assert_allclose(alone.lost, e.lost[3 * i : 3 * i + 3], atol=1e-6)
        for own, other in zip(alone, e[3 * i : 3 * i + 3], strict=True):
            np.testing.assert_array_equal(own.pixels[0], other.pixels[0])
            np.testing.assert_allclose(own.mass[0], other.mass[0], atol=1e-6)
