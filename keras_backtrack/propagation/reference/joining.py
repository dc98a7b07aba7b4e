"""Several branches brought together, and bare arithmetic, as plain loops."""

import numpy as np
import tensorflow as tf

from ...graph.compat import keras
from .plain_call import Child, Place, PlainCall, asks, best_of, shares_of


def aligned(inputs, place) -> list[Place]:
    """The place in each input that broadcasting brings to a place of the output."""
    return [
        tuple(
            0 if size == 1 else p
            for p, size in zip(place[len(place) - branch.ndim :], branch.shape, strict=True)
        )
        for branch in inputs
    ]


def _join(places, values, signs, paths, followed) -> list[Child]:
    """The largest value takes all; on all paths, each positive one its share; constants none."""
    if len(followed) == 1:
        # What a constant is added to, as a bias is.
        (own,) = followed
        return [Child(places[own], signs[own], 1.0, own)]
    values = [value if i in followed else -np.inf for i, value in enumerate(values)]
    if paths.all_paths:
        chosen = best_of(values, None)
        shares = shares_of([values[i] for i in chosen])
        return [Child(places[i], signs[i], s, i) for i, s in zip(chosen, shares, strict=True)]
    winner = values.index(max(values))
    return [Child(places[winner], signs[winner], 1.0, winner)]


def add(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Sums, and means."""
    places = aligned(call.inputs, place)
    values = [sign * branch[p] for branch, p in zip(call.inputs, places, strict=True)]
    return _join(places, values, [sign] * len(values), call.paths, call.followed)


def subtract(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """a - b is a + (-1)·b."""
    places = aligned(call.inputs, place)
    values = [sign * call.inputs[0][places[0]], -sign * call.inputs[1][places[1]]]
    return _join(places, values, [sign, -sign], call.paths, call.followed)


def extreme(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The branch that won."""
    least = isinstance(call.layer, keras.layers.Minimum) or call.call.kind == "minimum"
    places = aligned(call.inputs, place)
    values = [branch[p] for branch, p in zip(call.inputs, places, strict=True)]
    best = min(values) if least else max(values)
    winner = values.index(best)
    return [Child(places[winner], sign, 1.0, winner)]


def multiply(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Factors share equally, or the largest takes all."""
    places = aligned(call.inputs, place)
    values = [branch[p] for branch, p in zip(call.inputs, places, strict=True)]
    signs = [
        int(np.prod([asks(1, v) for j, v in enumerate(values) if j != i])) * sign
        for i in range(len(values))
    ]
    if call.paths.all_paths:
        share = 1 / len(call.followed)
        return [Child(places[i], signs[i], share, i) for i in call.followed]
    winner = max(call.followed, key=lambda i: (abs(values[i]), -i))
    return [Child(places[winner], signs[winner], 1.0, winner)]


def arithmetic(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """A bare operation on two tensors, or on a tensor and a constant."""
    name = call.call.kind
    if call.call.operands_read == 2:
        if name == "divide":
            source, by = aligned(call.inputs, place)
            return [Child(source, asks(sign, call.inputs[1][by]), 1.0)]
        rules = {"add": add, "subtract": subtract, "multiply": multiply}
        return rules.get(name, extreme)(call, place, sign)
    tensors = dict(zip(call.call.inputs, [tf.constant(t[None]) for t in call.inputs], strict=True))
    first, second = call.call.operands(tensors)[:2]
    from_constant = first is not tensors[call.call.inputs[0]]
    weight = 1.0
    if name in ("multiply", "divide"):
        constant = np.asarray(first if from_constant else second)
        weight = np.broadcast_to(constant, (1, *call.output.shape))[0][place]
    if name in ("subtract", "divide") and from_constant:
        weight = -weight
    (source,) = aligned(call.inputs[:1], place)
    return [Child(source, asks(sign, weight), 1.0)]


def power(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The sign of the slope."""
    source, *by = aligned(call.inputs, place)
    if by:
        exponent = call.inputs[1][by[0]]
    else:
        tensor = object()
        base, exponent = call.call.operands({call.call.inputs[0]: tensor})[:2]
        if base is not tensor:
            return [Child(source, asks(sign, np.log(float(base))), 1.0)]
        exponent = np.broadcast_to(np.asarray(exponent), (1, *call.output.shape))[0][place]
    value = float(call.inputs[0][source])
    # At 0 the slope may be none or endless; it is that of what is above.
    slope = float(exponent) * (value or 1.0) ** (float(exponent) - 1)
    return [Child(source, asks(sign, slope), 1.0)]


def where(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """What was chosen, unless it is a constant."""
    tensors = {number: i for i, number in enumerate(call.call.inputs)}
    condition, *branches = call.call.operands(tensors)
    if isinstance(condition, int):
        is_first = np.broadcast_to(call.inputs[condition], call.output.shape)
    else:
        is_first = np.broadcast_to(condition, (1, *call.output.shape))[0]
    chosen = branches[0] if is_first[place] else branches[1]
    if chosen not in tensors.values():
        return []
    return [Child(aligned([call.inputs[chosen]], place)[0], sign, 1.0, chosen)]


def concatenate(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The branch that holds the place."""
    axis = call.layer.axis - 1 if call.layer.axis > 0 else call.layer.axis + call.output.ndim
    where = list(place)
    for number, branch in enumerate(call.inputs):
        if where[axis] < branch.shape[axis]:
            return [Child(tuple(where), sign, 1.0, number)]
        where[axis] -= branch.shape[axis]
    raise AssertionError("a place outside of all branches")


def crossing(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """A category of several together, each as much as the others."""
    places = aligned(call.inputs, place)
    ones = [1.0] * len(places)
    return _join(places, ones, [sign] * len(places), call.paths, call.followed)
