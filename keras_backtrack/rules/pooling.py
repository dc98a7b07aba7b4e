"""Pooling layers (paper: III-C, Algorithm 3)."""

from dataclasses import dataclass

import tensorflow as tf

from ..compat import keras
from ..contributions import Arrival, At, Groups, Members, Moves, Sum, TracedCall, dims, value_at
from ..windows import Windows
from .registry import register_rule

layers = keras.layers


@register_rule(layers.MaxPooling2D, layers.GlobalMaxPooling2D)
def max_pooling(call: TracedCall) -> Moves:
    """Algorithm 3: what came through is the largest of the window; ties go to the first."""
    windows = _windows(call)

    def to(at: At) -> list[Arrival]:
        value, unit, inside = _look(call.input, windows, at)
        winner = tf.math.top_k(tf.where(inside, value, -float("inf")), 1).indices
        return [Arrival(tf.gather(unit, winner, batch_dims=1)[:, 0])]

    return Moves(to)


@register_rule(layers.AveragePooling2D, layers.GlobalAveragePooling2D)
def average_pooling(call: TracedCall) -> Sum:
    """A sum with equal weights, spread like a Dense layer's."""
    return MeanSum(call.input, None, _windows(call))


@dataclass(frozen=True)
class MeanSum(Sum):
    """Every position in the window is a group of its own.

    Attributes:
        windows: What each output position reads.
    """

    group_limit = "top_n"

    windows: Windows

    def groups(self, at: At, bias: tf.Tensor | None, limit: int | None) -> Groups:
        value, unit, inside = _look(self.source, self.windows, at)

        def members(parent: tf.Tensor, choice: tf.Tensor) -> Members:
            place = tf.stack([parent, choice], axis=1)
            return Members(tf.gather_nd(unit, place), tf.ones_like(parent, tf.float32))

        return Groups(tf.where(inside, value * at.sign[:, None], 0.0), members)


def _windows(call: TracedCall) -> Windows:
    spatial = dims(call.input)[:-1]
    layer = call.layer
    if not hasattr(layer, "pool_size"):
        return Windows.whole(spatial)
    output, ones = dims(call.output)[:-1], [1] * len(spatial)
    return Windows.sliding(spatial, output, layer.pool_size, layer.strides, ones, layer.padding)


def _look(source: tf.Tensor, windows: Windows, at: At) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Value, unit and whether it is real of every tap; all (M, taps)."""
    channels = tf.shape(source, tf.int64)[-1]
    row, inside = windows.rows(at.unit // channels)
    unit = tf.cast(row, tf.int64) * channels + (at.unit % channels)[:, None]
    return value_at(source, at.image[:, None], unit), unit, inside
