"""Layers that leave units in place or move them, as plain loops."""

import numpy as np
import tensorflow as tf

from ...graph.compat import as_tuple
from ...graph.graph import TensorRef
from .plain_call import Child, Place, PlainCall, asks, weights_of


def unchanged(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Monotone activations, and layers that only act in training."""
    return [Child(place, sign, 1.0)]


def prelu(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """A slope below zero that may be negative."""
    slope = np.broadcast_to(weights_of(call.layer, "alpha"), call.output.shape)[place]
    return [Child(place, asks(sign, slope if call.inputs[0][place] < 0 else 1.0), 1.0)]


def batch_normalization(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The sign of gamma."""
    axis = call.layer.axis if isinstance(call.layer.axis, int) else call.layer.axis[0]
    coordinate = place[axis] if axis < 0 else place[axis - 1]
    gamma = weights_of(call.layer, "gamma")[coordinate] if call.layer.scale else 1.0
    return [Child(place, asks(sign, gamma), 1.0)]


def rescaling(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The sign of the scale."""
    scale = np.broadcast_to(weights_of(call.layer, "scale"), call.output.shape)[place]
    return [Child(place, asks(sign, scale), 1.0)]


def normalization(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The sign of gamma; mean and deviation are constants."""
    gamma = getattr(call.layer, "gamma", None)
    if gamma is None:
        return [Child(place, sign, 1.0)]
    axes = call.layer.axis if isinstance(call.layer.axis, (list, tuple)) else [call.layer.axis]
    coordinates = sorted(a - 1 if a > 0 else a + call.output.ndim for a in axes)
    weight = weights_of(call.layer, "gamma")[tuple(place[a] for a in coordinates)]
    return [Child(place, asks(sign, weight), 1.0)]


def reshape(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Row-major order stays."""
    unit = np.ravel_multi_index(place, call.output.shape)
    return [Child(tuple(map(int, np.unravel_index(unit, call.inputs[0].shape))), sign, 1.0)]


def _pairs(sides) -> list[tuple[int, int]]:
    return [sides] if isinstance(sides[0], int) else sides


def _moved(inputs, place, sign, shift) -> list[Child]:
    source = tuple(p + s for p, s in zip(place, [*shift, 0], strict=True))
    if any(not 0 <= p < size for p, size in zip(source, inputs[0].shape, strict=True)):
        return []
    return [Child(source, sign, 1.0)]


def zero_padding(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Padding is nobody's input."""
    return _moved(call.inputs, place, sign, [-before for before, _ in _pairs(call.layer.padding)])


def cropping(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """What was cut off is nobody's output."""
    return _moved(call.inputs, place, sign, [before for before, _ in _pairs(call.layer.cropping)])


def center_crop(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The middle, one row or column nearer to the top left where that is between two."""
    whole, cropped = call.inputs[0].shape[:2], call.output.shape[:2]
    shift = [(n - size) // 2 for n, size in zip(whole, cropped, strict=True)]
    return _moved(call.inputs, place, sign, shift)


def permute(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Output axis i is input axis dims[i]."""
    source = [0] * len(place)
    for p, axis in zip(place, call.layer.dims, strict=True):
        source[axis - 1] = p
    return [Child(tuple(source), sign, 1.0)]


def repeat_vector(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Copies along the first axis."""
    return [Child(place[1:], sign, 1.0)]


def up_sampling(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Nearest neighbour: each unit is copied `size` times along each axis."""
    source = [p // n for p, n in zip(place[:-1], as_tuple(call.layer.size), strict=True)]
    return [Child((*source, place[-1]), sign, 1.0)]


def negative(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The opposite is asked."""
    return [Child(place, -sign, 1.0)]


def even(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Falls below zero."""
    return [Child(place, asks(sign, call.inputs[0][place]), 1.0)]


def moved(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """An operation that moves units: where it puts each of some numbers that all differ.

    What is taken from a table of constants is the index's.
    """
    if call.call.kind in ("gather", "take") and not isinstance(call.call.args[0], TensorRef):
        return [Child(place[: call.inputs[0].ndim], sign, 1.0)]
    if "numbers" not in call.notes:
        once, twice = (_moved_numbers(call, factor) for factor in (1, 2))
        # What does not grow with them is a constant.
        call.notes["numbers"] = np.where(twice == 2 * once, once, 0)
    number = int(call.notes["numbers"][place]) - 1
    for branch, source in enumerate(call.inputs):
        if 0 <= number < source.size:
            found = tuple(map(int, np.unravel_index(number, source.shape)))
            return [Child(found, sign, 1.0, branch)]
        number -= source.size
    return []


def _moved_numbers(call: PlainCall, factor: int) -> np.ndarray:
    """What a call makes of numbers that all differ, counted through all inputs."""
    numbers, count = {}, 1
    for number, source in zip(call.call.inputs, call.inputs, strict=True):
        differing = factor * np.arange(count, count + source.size, dtype=np.float32)
        numbers[number] = tf.constant(differing.reshape(1, *source.shape))
        count += source.size
    return np.asarray(call.call.run(numbers)[call.position])[0]


def largest_few(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The unit that has this rank; ties go to the first. Of the second output there is none."""
    if call.position == 1:
        return []
    row = call.inputs[0][place[:-1]]
    ranked = sorted(range(len(row)), key=lambda i: (-row[i], i))
    return [Child((*place[:-1], ranked[place[-1]]), sign, 1.0)]


def taken_in_each(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Where a call that takes from its first tensor by numbers finds some that all differ."""
    if "numbers" not in call.notes:
        tensors = {
            number: tf.constant(source[None])
            for number, source in zip(call.call.inputs, call.inputs, strict=True)
        }
        source = call.inputs[0]
        differing = np.arange(1, source.size + 1, dtype=np.float32).reshape(1, *source.shape)
        tensors[call.call.inputs[0]] = tf.constant(differing)
        call.notes["numbers"] = np.asarray(call.call.run(tensors)[call.position])[0]
    number = int(call.notes["numbers"][place]) - 1
    found = np.unravel_index(number, call.inputs[0].shape)
    return [Child(tuple(map(int, found)), sign, 1.0)]


def wave(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The sign of the slope of a sine or cosine."""
    value = float(call.inputs[0][place])
    slope = np.cos(value) if call.call.kind == "sin" else np.cos(value + np.pi / 2)
    return [Child(place, asks(sign, slope), 1.0)]


def scaled(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The sign of the scale of a bare normalization; mean and deviation are constants."""
    given = call.arguments
    scales = [given[name] for name in ("gamma", "scale") if given.get(name) is not None]
    if not scales:
        return [Child(place, sign, 1.0)]
    axis = given.get("axis", -1)
    axes = {a % (len(place) + 1) for a in (axis if isinstance(axis, (list, tuple)) else [axis])}
    weights = np.asarray(scales[0]).reshape([call.output.shape[a - 1] for a in sorted(axes)])
    return [Child(place, asks(sign, weights[tuple(place[a - 1] for a in sorted(axes))]), 1.0)]


def embedding(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """A vector for each token."""
    return [Child(place[:-1], sign, 1.0)]
