"""Bare operations in a graph: arithmetic and functions that a model's author wrote out."""

from typing import Any

import tensorflow as tf

from ..graph.compat import as_tensor, is_variable
from ..graph.computed import Computed
from ..graph.graph import Call, Graph, TensorRef
from . import merging
from .contributions import Arrival, At, Branches, Moves, Same, same_place
from .gates import aligned_factors
from .indexing import broadcast_back, dims, flip_of, unravel, value_at
from .registry import register_operation
from .traced_call import TracedCall


def _not_the_condition(graph: Graph, call: Call) -> list[int]:
    places = range(len(call.inputs))
    return [p for p in places if p > 0 or not isinstance(call.args[0], TensorRef)]


@register_operation("negative")
def negative(call: TracedCall) -> Same:
    """The opposite is asked."""
    return same_place(tf.constant([-1.0]))


@register_operation("add")
def add(call: TracedCall) -> Same | Moves | Branches:
    """A constant is no unit's doing, as a bias."""
    return merging.add(call) if call.call.operands_read > 1 else _scaled(call, 1.0)


@register_operation("subtract")
def subtract(call: TracedCall) -> Same | Moves | Branches:
    """As for `add`; a unit that is taken away from a constant is asked the opposite."""
    if call.call.operands_read > 1:
        return merging.subtract(call)
    return _scaled(call, 1.0 if call.operands[0] is call.input else -1.0)


@register_operation("multiply", follows=aligned_factors)
def multiply(call: TracedCall) -> Same | Moves | Branches:
    """By a constant, or by another tensor."""
    return (
        merging.multiply(call) if call.call.operands_read > 1 else _scaled(call, *_constant(call))
    )


@register_operation("divide", follows=[0])
def divide(call: TracedCall) -> Same | Moves | Branches:
    """What is divided by is a constant factor, or the only thing that can be asked about."""
    if call.call.operands_read > 1:
        return Branches(
            # Not the numbers themselves: of 0 / b, too, it is what is divided that counts.
            lambda sign, values: [tf.ones_like(values[0]), tf.zeros_like(values[1])],
            lambda values: [flip_of(values[1])] * 2,
        )
    constant, is_fixed = _constant(call)
    is_divided = call.operands[0] is call.input
    return _scaled(call, constant if is_divided else -constant, is_fixed)


@register_operation("reciprocal", "rsqrt")
def falling(call: TracedCall) -> Same:
    """As what is divided by: the larger, the smaller."""
    return same_place(tf.constant([-1.0]))


@register_operation("abs", "cosh", "square")
def even(call: TracedCall) -> Moves:
    """Falls below zero."""

    def to(at: At) -> list[Arrival]:
        return [Arrival(at.unit, flip_of(value_at(call.input, at.image, at.unit)))]

    return Moves(to)


@register_operation("power", follows=[0])
def power(call: TracedCall) -> Same | Moves:
    """Even powers fall below zero, negative ones fall; a number to the power of a tensor rises,
    but for one below 1."""
    base, exponent = call.operands[:2]
    if base is not call.input:
        return same_place(tf.reshape(tf.where(_float(base) < 1, -1.0, 1.0), [-1])[:1])
    exponent = _float(exponent)

    def to(at: At) -> list[Arrival]:
        here = value_at(call.input, at.image, at.unit)
        if exponent.shape.rank:
            place = unravel(at.unit, dims(call.output))
            is_tensor = call.call.operands_read > 1
            own = exponent if is_tensor else exponent[None]
            image = at.image if is_tensor else tf.zeros_like(at.image)
            sizes = own.shape.as_list()[1:]
            power = value_at(own, image, broadcast_back(place, sizes))
        else:
            power = exponent
        is_even = tf.math.floormod(power, 2.0) == 0
        return [Arrival(at.unit, flip_of(tf.where((here < 0) & is_even, -power, power)))]

    return Moves(to)


@register_operation("where", follows=_not_the_condition)
def where(call: TracedCall) -> Moves:
    """What was chosen; where that is a constant, the path ends."""
    condition, *branches = call.operands
    condition = tf.cast(condition, tf.float32)
    # One that has fewer axes is the same for all images.
    missing = call.output.shape.rank - condition.shape.rank
    condition = tf.reshape(condition, tf.concat([[1] * missing, tf.shape(condition)], 0))
    place_of = {id(tensor): place for place, tensor in enumerate(call.inputs)}

    def to(at: At) -> list[Arrival | None]:
        place = unravel(at.unit, dims(call.output))
        own = broadcast_back(place, dims(condition))
        chosen = value_at(condition, at.image, own) > 0
        arrivals: list[Arrival | None] = [None] * len(call.inputs)
        for branch, here in zip(branches, (chosen, ~chosen), strict=True):
            if id(branch) in place_of:
                earlier = arrivals[place_of[id(branch)]]
                here = here if earlier is None else here | earlier.here
                unit = broadcast_back(place, dims(branch))
                arrivals[place_of[id(branch)]] = Arrival(unit, here=here)
        return arrivals

    return Moves(to)


@register_operation("maximum", "minimum")
def extreme(call: TracedCall) -> Branches | Same | Moves:
    """Of two tensors the one that won; a bound leaves the unit what it is."""
    return merging.extreme(call) if call.call.operands_read > 1 else _scaled(call, 1.0)


def _constant(call: TracedCall) -> tuple[tf.Tensor, bool]:
    """The operand of a binary operation that is no tensor of the network, for one image.

    And whether it is the same whatever the sizes of the network's tensors.
    """
    (constant,) = (value for value in call.operands[:2] if value is not call.input)
    computed = [value for value in call.call.args if isinstance(value, Computed)]
    row = computed[0].for_one_image() if computed else None
    constant, is_fixed = (constant if row is None else row), not computed or row is not None
    return _float(constant), is_fixed


def _float(value: Any) -> tf.Tensor:
    return as_tensor(value) if is_variable(value) else tf.cast(value, tf.float32)


def _scaled(call: TracedCall, scale: Any, is_fixed: bool = True) -> Same | Moves:
    """Times a constant, which may have more axes than the unit's tensor."""
    scale = tf.convert_to_tensor(scale, tf.float32)
    output, source = dims(call.output), dims(call.input)
    if scale.shape.rank > len(output):
        scale = scale[0]
    if is_fixed and call.input.shape[1:] == call.output.shape[1:]:
        last = call.output.shape[call.output.shape.rank - scale.shape.rank :]
        return same_place(tf.broadcast_to(scale, last) if scale.shape.rank else scale[None])

    def to(at: At) -> list[Arrival]:
        place = unravel(at.unit, output)
        sizes = dims(scale[None])
        factor = value_at(scale[None], tf.zeros_like(at.unit), broadcast_back(place, sizes))
        return [Arrival(broadcast_back(place, source), flip_of(factor))]

    return Moves(to)
