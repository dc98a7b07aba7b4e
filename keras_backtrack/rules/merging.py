"""Layers that bring several branches together."""

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
)
from .registry import register_rule

layers = keras.layers


@register_rule(layers.Add)
def add(call: TracedCall) -> Branches:
    """Each addend contributes itself."""
    return Branches(lambda sign, values: [sign * value for value in values])


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
