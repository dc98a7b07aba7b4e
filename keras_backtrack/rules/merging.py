"""Layers that bring several branches together."""

import tensorflow as tf

from ..compat import keras
from ..contributions import (
    Arrival,
    At,
    Branches,
    Moves,
    TracedCall,
    dims,
    ravel,
    unravel,
    value_at,
)
from .registry import register_rule

layers = keras.layers


@register_rule(layers.Add)
def add(call: TracedCall) -> Branches:
    """Sum of branches, some of which may be broadcast."""
    output = dims(call.output)

    def to(at: At) -> list[Arrival]:
        place = unravel(at.unit, output)
        return [Arrival(_broadcast_back(place, dims(tensor))) for tensor in call.inputs]

    def values(at: At) -> tf.Tensor:
        units = [arrival.unit for arrival in to(at)]
        branches = zip(call.inputs, units, strict=True)
        return tf.stack([value_at(tensor, at.image, unit) for tensor, unit in branches], axis=1)

    return Branches(values, to)


@register_rule(layers.Concatenate)
def concatenate(call: TracedCall) -> Moves:
    """The branch that holds the unit."""
    output = dims(call.output)
    axis = call.layer.axis
    axis = axis - 1 if axis > 0 else axis % len(output)

    def to(at: At) -> list[Arrival]:
        place = unravel(at.unit, output)
        arrivals = []
        for tensor in call.inputs:
            source = dims(tensor)
            here = (place[axis] >= 0) & (place[axis] < source[axis])
            arrivals.append(Arrival(ravel(place, source), here=here))
            place[axis] = place[axis] - source[axis]
        return arrivals

    return Moves(to)


def _broadcast_back(place: list[tf.Tensor], sizes: list) -> tf.Tensor:
    """Row-major place in a tensor that was broadcast against a larger one, aligned at the end."""
    place = place[len(place) - len(sizes) :]
    place = [c if size != 1 else tf.zeros_like(c) for c, size in zip(place, sizes, strict=True)]
    return ravel(place, sizes)
