"""What is chosen by the order of units, or by numbers: the largest few, and what stands where."""

import tensorflow as tf

from ..graph.graph import OF_ORDER
from .contributions import Arrival, At, Extreme, Moves
from .indexing import dims, units_of
from .registry import nowhere, register_operation
from .traced_call import TracedCall


@register_operation(*OF_ORDER, follows=[])
def place_of(call: TracedCall) -> Moves:
    """Which unit is the largest is no unit's number."""
    return nowhere(call)


@register_operation("topk", "topkv2")
def largest_few(call: TracedCall) -> Moves:
    """Each of the largest is the unit it was, as in max pooling; where they were is no number."""
    if call.position == 1:
        return nowhere(call)
    many, few = dims(call.input)[-1], dims(call.output)[-1]
    tensors = dict(zip(call.call.inputs, call.inputs, strict=True))
    places = tf.cast(call.call.run(tensors)[1], tf.int64)

    def to(at: At) -> list[Arrival]:
        return [Arrival(at.unit // few * many + _at(places, at))]

    return Extreme(to)


@register_operation("gathernd", "takealongaxis", follows=[0])
def taken_in_each(call: TracedCall) -> Moves:
    """What was taken, which may be another unit in each image; numbers say which, as constants."""
    if call.operands[0] is not call.input:
        return nowhere(call)
    size, rows = units_of(call.input), tf.shape(call.input)[0]
    places = tf.reshape(tf.range(size), [1, *dims(call.input)])
    places = tf.repeat(places, rows, axis=0)
    came_from = call.run([places if t is call.input else t for t in call.inputs])

    def to(at: At) -> list[Arrival | None]:
        place = _at(came_from, at)
        found = Arrival(place, here=(place >= 0) & (place < size))
        arrivals: list[Arrival | None] = [None] * len(call.inputs)
        arrivals[call.followed.index(True)] = found
        return arrivals

    return Moves(to)


def _at(numbers: tf.Tensor, at: At) -> tf.Tensor:
    """The number that belongs to each node."""
    return tf.gather(tf.reshape(numbers, [-1]), at.image * units_of(numbers) + at.unit)
