"""One step of a walk through a weighted sum: which of its contributions are followed."""

from collections.abc import Callable

import tensorflow as tf

from ..rules.contributions import At, LinearSum, Sum
from .limits import Limits
from .nodes import Asked, Nodes
from .shares import split_mass
from .traced_once import call_shared

# Nodes are handled in chunks of about this many numbers, which bounds the memory of a layer
# whatever the batch size.
_CHUNK = 2**24


def follow_sum(
    limits: Limits, layer: Sum, nodes: Nodes, size: tf.Tensor, image_index: tf.Tensor
) -> tuple[Nodes, tf.Tensor]:
    """Follows nodes from the output of a weighted sum to its input.

    Args:
        limits: How many contributions are kept.
        layer: The sum.
        nodes: Nodes at its output.
        size: int64 scalar, units in one row of the output.
        image_index: (E,) int64, which row of the batch each explanation is about.

    Returns:
        The nodes at the input, not merged, and the (E,) float32 mass that ended.
    """
    if isinstance(layer, LinearSum):
        index, sign, mass, ended = call_shared(_follow, limits, layer, *nodes, size, image_index)
    else:
        index, sign, mass, ended = _follow(limits, layer, *nodes, size, image_index)
    return Nodes(index, sign, mass), ended


def per_explanation(mass: tf.Tensor, explanation: tf.Tensor, image_index: tf.Tensor) -> tf.Tensor:
    """Adds the (M,) mass of nodes up for each explanation: (E,)."""
    return tf.math.unsorted_segment_sum(mass, explanation, tf.size(image_index))


def _follow(limits: Limits, layer: Sum, index, sign, mass, size, image_index) -> tuple:
    (at,) = Asked([index], [sign], mass).at(size, image_index)
    if layer.width is not None:
        nodes, ended = _in_chunks(limits, layer, at, mass)
    else:
        nodes, ended = _step(limits, layer, at, mass)
    return *nodes, per_explanation(ended, at.explanation, image_index)


def _step(limits: Limits, layer: Sum, at: At, mass: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
    """The followed contributions of some nodes, and the (M,) mass of those without any."""
    bias = None
    if limits.include_bias and layer.bias is not None:
        bias = tf.gather(layer.bias, at.unit % tf.size(layer.bias, tf.int64)) * at.sign
    limit = getattr(limits, layer.group_limit)
    groups = layer.groups(at, bias)
    chosen = split_mass(mass, groups.value, limit)
    parent, share, ended = chosen.parent, chosen.mass, chosen.ended
    inside = groups.members(parent, chosen.choice)
    unit, flip = inside.unit, inside.flip
    if inside.value is not None:
        members = split_mass(share, inside.value, getattr(limits, layer.member_limit))
        ended += tf.math.unsorted_segment_sum(members.ended, parent, tf.size(mass))
        parent, share = tf.gather(parent, members.parent), members.mass
        place = tf.stack([members.parent, members.choice], axis=1)
        unit, flip = tf.gather_nd(unit, place), tf.gather_nd(flip, place)
    units_read = tf.size(layer.source, tf.int64) // tf.shape(layer.source, tf.int64)[0]
    index = tf.gather(at.explanation, parent) * units_read + unit
    return Nodes(index, tf.gather(at.sign, parent) * flip, share), ended


def _in_chunks(limits: Limits, layer: Sum, at: At, mass: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
    """Takes the step with some nodes at a time, so that memory is bounded."""

    def step(start, stop):
        here = At(*(field[start:stop] for field in at))
        return _step(limits, layer, here, mass[start:stop])

    return in_chunks(step, tf.size(mass, tf.int64), layer.width)


def in_chunks(
    step: Callable[[tf.Tensor, tf.Tensor], tuple[Nodes, tf.Tensor]],
    count: tf.Tensor,
    width: tf.Tensor,
) -> tuple[Nodes, tf.Tensor]:
    """Takes steps with some of `count` nodes at a time and joins what comes out in their order.

    Args:
        step: Takes the first node and the one behind the last, int64. Returns the nodes they lead
            to, and the mass that ended at each.
        count: int64 scalar.
        width: int64 scalar, how many numbers a node takes.
    """
    rows = tf.maximum(_CHUNK // width, 1)

    def at(chunk):
        start = tf.cast(chunk, tf.int64) * rows
        return step(start, tf.minimum(start + rows, count))

    chunks = tf.cast((count + rows - 1) // rows, tf.int32)
    arrays = [collect(chunks, tf.zeros([0], t)) for t in (tf.int64, *[tf.float32] * 3)]

    def body(chunk, arrays):
        nodes, ended = at(chunk)
        parts = zip(arrays, (*nodes, ended), strict=True)
        return chunk + 1, [array.write(chunk, part) for array, part in parts]

    _, arrays = tf.while_loop(
        lambda chunk, _: chunk < chunks, body, (0, arrays), parallel_iterations=1
    )
    index, sign, mass, ended = (array.concat() for array in arrays)
    return Nodes(index, sign, mass), ended


def collect(count: tf.Tensor, empty: tf.Tensor) -> tf.TensorArray:
    """An array for the rows that `count` steps write, to be joined with `concat`.

    Args:
        count: How many steps there are.
        empty: The result without any rows: TensorFlow cannot join no parts, and there are no steps
            where all paths have ended.
    """
    shape = [None] * empty.shape.rank
    array = tf.TensorArray(empty.dtype, count + 1, infer_shape=False, element_shape=shape)
    return array.write(count, empty)
