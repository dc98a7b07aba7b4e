"""Layers that only move units about: index arithmetic."""

import tensorflow as tf

from ..compat import keras
from ..contributions import Arrival, At, Moves, Same, TracedCall, dims, ravel, same_place, unravel
from .registry import register_rule

layers = keras.layers


@register_rule(layers.Flatten, layers.Reshape)
def reshape(call: TracedCall) -> Same:
    """Row-major order stays as it is."""
    return same_place()


@register_rule(layers.ZeroPadding2D)
def zero_padding(call: TracedCall) -> Moves:
    """Back by the padding; what came from the padding ends."""
    before = [pad[0] for pad in call.layer.padding] + [0]
    output, source = dims(call.output), dims(call.input)

    def to(at: At) -> list[Arrival]:
        place = [c - b for c, b in zip(unravel(at.unit, output), before, strict=True)]
        inside = [(c >= 0) & (c < size) for c, size in zip(place, source, strict=True)]
        return [Arrival(ravel(place, source), here=tf.reduce_all(inside, axis=0))]

    def back(mass: tf.Tensor) -> list[tf.Tensor]:
        begin, size = [0, *before], [-1, *source]
        return [
            tf.slice(mass, tf.cast(tf.stack(begin), tf.int32), tf.cast(tf.stack(size), tf.int32))
        ]

    return Moves(to, back)
