"""Pooling layers (paper: III-C, Algorithm 3)."""

import tensorflow as tf

from ..compat import keras
from ..contributions import (
    Arrival,
    At,
    Members,
    Moves,
    Sum,
    TracedCall,
    dims,
    value_at,
)
from ..windows import Windows
from .registry import register_rule

layers = keras.layers


@register_rule(layers.MaxPooling2D, layers.GlobalMaxPooling2D)
def max_pooling(call: TracedCall) -> Moves:
    """Algorithm 3: what came through is the largest of the window; ties go to the first."""
    window = Window(call)

    def to(at: At) -> list[Arrival]:
        value, unit, inside = window.look(at)
        winner = tf.math.top_k(tf.where(inside, value, -float("inf")), 1).indices
        return [Arrival(tf.gather(unit, winner, batch_dims=1)[:, 0])]

    return Moves(to)


@register_rule(layers.AveragePooling2D, layers.GlobalAveragePooling2D)
def average_pooling(call: TracedCall) -> Sum:
    """A sum with equal weights."""
    return MeanSum(call)


class MeanSum(Sum):
    """Every position in the window is a group of its own."""

    group_limit = "top_n"

    def __init__(self, call: TracedCall) -> None:
        self._window = Window(call)

    def groups(self, at: At, bias: tf.Tensor | None) -> tf.Tensor:
        value, _, inside = self._window.look(at)
        return tf.where(inside, value * at.sign[:, None], 0.0)

    def members(self, at: At, group: tf.Tensor, bias: tf.Tensor | None) -> Members:
        _, unit, _ = self._window.look(at)
        unit = tf.gather(unit, group, batch_dims=1)[:, None]
        one = tf.ones_like(unit, tf.float32)
        return Members(one, unit, one)


class Window:
    """What a pooling layer's windows see: a local one or, in global pooling, everything."""

    def __init__(self, call: TracedCall) -> None:
        layer = call.layer
        spatial = dims(call.input)[:-1]
        if hasattr(layer, "pool_size"):
            ones = [1] * len(spatial)
            output = dims(call.output)[:-1]
            self._windows = Windows(
                spatial, output, layer.pool_size, layer.strides, ones, layer.padding
            )
        else:
            self._windows = Windows.whole(spatial)
        self._input = call.input
        self._channels = call.input.shape[-1]
        self.taps = self._windows.taps

    def look(self, at: At) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Value, unit and whether it is real of every tap; all (M, taps)."""
        row, inside = self._windows.rows(at.unit // self._channels)
        unit = row * self._channels + (at.unit % self._channels)[:, None]
        image = tf.broadcast_to(at.image[:, None], tf.shape(unit))
        return value_at(self._input, image, unit), unit, inside
