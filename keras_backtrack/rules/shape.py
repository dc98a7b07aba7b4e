"""Layers that only move units about: index arithmetic."""

from collections.abc import Callable

import tensorflow as tf

from ..compat import as_tuple, keras
from ..contributions import Arrival, At, Moves, Same, TracedCall, dims, ravel, same_place, unravel
from .registry import register_operation, register_rule

layers = keras.layers


@register_rule(layers.Flatten, layers.Reshape)
@register_operation("expanddims", "reshape", "squeeze")
def reshape(call: TracedCall) -> Same:
    """Row-major order stays as it is."""
    return same_place()


@register_rule(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
def zero_padding(call: TracedCall) -> Moves:
    """Back by the padding; what came from the padding ends."""
    before = _before(call, call.layer.padding)
    source = dims(call.input)

    def back(mass: tf.Tensor) -> list[tf.Tensor]:
        return [tf.slice(mass, [0, *before], tf.cast(tf.stack([-1, *source]), tf.int32))]

    return Moves(_shifted(call, [-b for b in before]), back)


@register_rule(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D)
def cropping(call: TracedCall) -> Moves:
    """Forward by what was cut off."""
    before = _before(call, call.layer.cropping)
    sizes = list(zip(before, dims(call.output), dims(call.input), strict=True))

    def back(mass: tf.Tensor) -> list[tf.Tensor]:
        return [tf.pad(mass, [[0, 0], *([b, want - have - b] for b, have, want in sizes)])]

    return Moves(_shifted(call, before), back)


def _before(call: TracedCall, sides: tuple) -> list[int]:
    """What is put before or cut off there, for each axis: `sides` has (before, after) for each."""
    pairs = [sides] if isinstance(sides[0], int) else sides
    before = [pair[0] for pair in pairs]
    return [*before, *[0] * (call.input.shape.rank - 1 - len(before))]


def _shifted(call: TracedCall, shift: list[int]) -> Callable[[At], list[Arrival]]:
    """Each unit was `shift` further on in the input; what lay outside of it ends."""
    output, source = dims(call.output), dims(call.input)

    def to(at: At) -> list[Arrival]:
        place = [c + s for c, s in zip(unravel(at.unit, output), shift, strict=True)]
        inside = [(c >= 0) & (c < size) for c, size in zip(place, source, strict=True)]
        return [Arrival(ravel(place, source), here=tf.reduce_all(inside, axis=0))]

    return to


@register_rule(layers.Permute)
def permute(call: TracedCall) -> Moves:
    """Coordinates change places."""
    order = [axis - 1 for axis in call.layer.dims]
    output, source = dims(call.output), dims(call.input)

    def to(at: At) -> list[Arrival]:
        place = unravel(at.unit, output)
        return [Arrival(ravel([place[order.index(axis)] for axis in range(len(order))], source))]

    return Moves(to)


@register_rule(layers.RepeatVector)
def repeat_vector(call: TracedCall) -> Moves:
    """Every copy is the same vector."""
    return Moves(lambda at: [Arrival(at.unit % dims(call.input)[0])])


@register_rule(layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D)
def up_sampling(call: TracedCall) -> Moves:
    """Every copy is the same unit."""
    times = [*as_tuple(call.layer.size), 1]
    output, source = dims(call.output), dims(call.input)

    def to(at: At) -> list[Arrival]:
        place = unravel(at.unit, output)
        return [Arrival(ravel([c // n for c, n in zip(place, times, strict=True)], source))]

    return Moves(to)
