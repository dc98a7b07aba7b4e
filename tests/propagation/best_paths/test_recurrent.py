"""Recurrent layers whose cells hold more than Keras's own do."""

import numpy as np
import pytest
import tensorflow as tf
from networks import assert_equals_reference, layers

from keras_backtrack.graph.compat import KERAS_3, keras
from keras_backtrack.propagation.limits import Limits

where = keras.ops.where if KERAS_3 else tf.where


class Cell(layers.Layer):
    """With a condition and a division, for which there is no machine code."""

    def __init__(self, units, **settings):
        super().__init__(**settings)
        self.units = self.state_size = self.output_size = units

    def build(self, shape):
        self.dense = layers.Dense(self.units)
        self.dense.build((None, shape[-1] + self.units))
        self.built = True

    def call(self, x, states):
        h = self.dense(layers.Concatenate()([x, states[0]]))
        h = where(h > 0, h, 0.5 * h) / (1.0 + h * h)
        return h, [h]


def of_a_cell():
    sequence = keras.Input((5, 3))
    return sequence, layers.RNN(Cell(4), return_sequences=True)(sequence)


def of_frames():
    """A network of its own for every frame of a video."""
    video, frame = keras.Input((3, 6, 5, 2)), keras.Input((6, 5, 2))
    x = layers.MaxPooling2D(2)(layers.Conv2D(3, 3, padding="same", activation="tanh")(frame))
    return video, layers.TimeDistributed(keras.Model(frame, x))(video)


def of_sequences():
    """A recurrent layer inside of another."""
    sequences = keras.Input((3, 4, 2))
    return sequences, layers.TimeDistributed(layers.LSTM(3))(sequences)


@pytest.mark.parametrize("network", [of_a_cell, of_frames, of_sequences])
@pytest.mark.parametrize("limits", [Limits(20, 1, 1, False), Limits(2, 2, 2, False), None])
@pytest.mark.parametrize("contrast", [None, 0.25])
def test_equals_reference(network, limits, contrast, plain_graphs, rng):
    x, y = network()
    model = keras.Model(x, layers.Dense(5)(layers.Flatten()(y)))
    values = rng.normal(size=(3, *model.input_shape[1:])).astype(np.float32)
    targets = np.array([[0, 1], [2, 3], [4, 0]])
    assert_equals_reference(model, values, targets, limits, contrast=contrast)
