"""Layers that bring several branches together."""

import math
from collections.abc import Sequence

import tensorflow as tf

from ..graph.compat import keras, operation_name
from .contributions import Arrival, At, Branches, Joined, Moves
from .gates import aligned_factors
from .indexing import dims, flip_of, product
from .registry import register_rule
from .traced_call import TracedCall

layers = keras.layers


@register_rule(layers.Add)
def add(call: TracedCall) -> Branches:
    """Each addend contributes itself; a constant is no unit's doing, as a bias."""

    def parts(sign: tf.Tensor, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return _of_followed(call, [sign * value for value in values])

    return Branches(parts, takes_arrays=True)


@register_rule(layers.Subtract)
def subtract(call: TracedCall) -> Branches:
    """The second is asked the opposite."""
    return Branches(
        lambda sign, values: _of_followed(call, [sign * values[0], -sign * values[1]]),
        lambda values: [values[0] * 0 + 1, values[1] * 0 - 1],
        takes_arrays=True,
    )


def _of_followed(call: TracedCall, parts: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """What branches contribute, less than anything those that are constants.

    One that has only constants beside it is all there is, as where a bias is added.
    """
    is_alone = call.followed.count(True) == 1
    return [
        part * 0 + (tf.float32.min if not follow else 1) if is_alone or not follow else part
        for part, follow in zip(parts, call.followed, strict=True)
    ]


@register_rule(layers.Average)
def average(call: TracedCall) -> Branches:
    """A sum, but for a factor that is the same for all."""
    return add(call)


@register_rule(layers.Maximum, layers.Minimum)
def extreme(call: TracedCall) -> Branches:
    """What came through is the input that won; ties go to the first."""
    least = isinstance(call.layer, layers.Minimum) or operation_name(call.layer) == "minimum"
    best = tf.math.argmin if least else tf.math.argmax

    def parts(sign: tf.Tensor, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        winner = best(tf.stack(values), axis=0)
        return [tf.cast(tf.equal(winner, i), tf.float32) for i in range(len(values))]

    return Branches(parts)


@register_rule(layers.Multiply, follows=aligned_factors)
def multiply(call: TracedCall) -> Branches:
    """Factors explain a product equally, but gates are constants (`gates.py`).

    Of several factors the best path takes the largest. Each is asked the opposite where the product
    of the others is negative.
    """

    def parts(sign: tf.Tensor, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [
            abs(value) if follow else abs(value) * 0 - 1
            for value, follow in zip(values, call.followed, strict=True)
        ]

    def flips(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        signs = [flip_of(value) for value in values]
        return [math.prod(signs[:i] + signs[i + 1 :]) for i in range(len(signs))]

    def evenly(sign: tf.Tensor, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [
            tf.fill(tf.shape(value), float(follow))
            for value, follow in zip(values, call.followed, strict=True)
        ]

    return Branches(parts, flips, evenly, takes_arrays=True)


@register_rule(layers.Concatenate)
def concatenate(call: TracedCall) -> Moves:
    """The branch that holds the unit."""
    output = dims(call.output)
    axis = call.layer.axis
    axis = axis - 1 if axis > 0 else axis % len(output)

    # Row by row of the axis and all that are behind it.
    behind = product(output[axis + 1 :])
    widths = tuple(dims(tensor)[axis] * behind for tensor in call.inputs)

    def to(at: At) -> list[Arrival]:
        row, place = at.unit // (output[axis] * behind), at.unit % (output[axis] * behind)
        arrivals = []
        for width in widths:
            arrivals.append(Arrival(row * width + place, here=(place >= 0) & (place < width)))
            place = place - width
        return arrivals

    def back(mass: tf.Tensor) -> list[tf.Tensor]:
        return tf.split(mass, [dims(tensor)[axis] for tensor in call.inputs], axis + 1)

    are_known = all(isinstance(width, int) for width in widths)
    return Joined(to, back, widths=widths if are_known else None)
