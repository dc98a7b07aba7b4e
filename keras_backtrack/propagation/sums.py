"""One step through a weighted sum: which of its contributions are followed."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from ..rules.contributions import At, Groups, LinearSum, Sum
from .limits import NO_LIMITS, Limits
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


def _follow(limits: Limits, layer: Sum, index, sign, mass, size, image_index) -> tuple:
    (at,) = Asked([index], [sign], mass).at(size, image_index)

    def step(at: Sequence[At], mass: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
        groups = layer.groups(at[0], _biases(limits, layer, at)[0])
        return _chosen(limits, layer, groups, at[0], mass)

    nodes, ended = _in_chunks(step, [at], mass, layer.width)
    return *nodes, per_explanation(ended, at.explanation, image_index)


def follow_combination(
    limits: Limits | None, layer: Sum, at: Sequence[At], mass: tf.Tensor
) -> tuple[Nodes, tf.Tensor]:
    """Follows linear combinations of units from the output of a weighted sum to single units.

    Args:
        limits: How many contributions are kept; None for all paths.
        layer: The sum.
        at: K times M units of its output, each with the sign it counts with.
        mass: (M,) float32.

    Returns:
        The nodes at the input, not merged, and the (M,) mass that ended.
    """

    def step(at: Sequence[At], mass: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
        groups = _combined(limits, layer, at)
        alone = at[0]._replace(sign=tf.ones_like(at[0].sign))
        return _chosen(limits or NO_LIMITS, layer, groups, alone, mass)

    return _in_chunks(step, at, mass, layer.width)


def _combined(limits: Limits | None, layer: Sum, at: Sequence[At]) -> Groups:
    if isinstance(layer, LinearSum):
        biases = None if limits is None else _biases(limits, layer, at)
        is_biased = biases is not None and biases[0] is not None
        return layer.combination(at, biases if is_biased else None, limits is not None)
    parts = [layer.groups(own, None) for own in at]
    first = parts[0]
    return first._replace(value=tf.add_n([part.value for part in parts]))


def _biases(limits: Limits, layer: Sum, at: Sequence[At]) -> list[tf.Tensor | None]:
    """What is added to each product of a unit, signed; None where nothing is."""
    if not limits.include_bias or layer.bias is None:
        return [None] * len(at)
    return [bias_of(layer, own.unit) * own.sign for own in at]


def bias_of(layer: Sum, unit: tf.Tensor) -> tf.Tensor:
    """The bias of some units, 0 where there is none."""
    if layer.bias is None:
        return tf.zeros_like(unit, tf.float32)
    return tf.gather(layer.bias, unit % tf.size(layer.bias, tf.int64))


def _chosen(
    limits: Limits, layer: Sum, groups: Groups, at: At, mass: tf.Tensor
) -> tuple[Nodes, tf.Tensor]:
    """The followed contributions of some nodes, and the (M,) mass of those without any."""
    chosen = split_mass(mass, groups.value, getattr(limits, layer.group_limit))
    parent, share, ended = chosen.parent, chosen.mass, chosen.ended
    inside = groups.members(parent, chosen.choice)
    unit, flip = inside.unit, inside.flip
    if inside.value is not None and layer.member_limit is not None:
        members = split_mass(share, inside.value, getattr(limits, layer.member_limit))
        ended += tf.math.unsorted_segment_sum(members.ended, parent, tf.size(mass))
        parent, share = tf.gather(parent, members.parent), members.mass
        place = tf.stack([members.parent, members.choice], axis=1)
        unit, flip = tf.gather_nd(unit, place), tf.gather_nd(flip, place)
    units_read = tf.size(layer.source, tf.int64) // tf.shape(layer.source, tf.int64)[0]
    index = tf.gather(at.explanation, parent) * units_read + unit
    return Nodes(index, tf.gather(at.sign, parent) * flip, share), ended


def per_explanation(mass: tf.Tensor, explanation: tf.Tensor, image_index: tf.Tensor) -> tf.Tensor:
    """Adds the (M,) mass of nodes up for each explanation: (E,)."""
    return tf.math.unsorted_segment_sum(mass, explanation, tf.size(image_index))


def _in_chunks(
    step: Callable[[Sequence[At], tf.Tensor], tuple[Nodes, tf.Tensor]],
    at: Sequence[At],
    mass: tf.Tensor,
    width: tf.Tensor,
) -> tuple[Nodes, tf.Tensor]:
    """Takes steps with some nodes at a time and joins what comes out in their order.

    Args:
        step: Takes nodes and their mass. Returns the nodes they lead to, and the mass that ended at
            each.
        at, mass: All nodes.
        width: int64 scalar, how many numbers a node takes.
    """
    count = tf.size(mass, tf.int64)
    rows = tf.maximum(_CHUNK // width, 1)
    chunks = tf.cast((count + rows - 1) // rows, tf.int32)
    # TensorFlow cannot join no parts, and there are no steps where all paths have ended.
    arrays = [
        tf.TensorArray(t, chunks + 1, infer_shape=False, element_shape=[None]).write(
            chunks, tf.zeros([0], t)
        )
        for t in (tf.int64, tf.float32, tf.float32, tf.float32)
    ]

    def body(chunk, arrays):
        start = tf.cast(chunk, tf.int64) * rows
        here = [At(*(field[start : start + rows] for field in own)) for own in at]
        nodes, ended = step(here, mass[start : start + rows])
        parts = zip(arrays, (*nodes, ended), strict=True)
        return chunk + 1, [array.write(chunk, part) for array, part in parts]

    _, arrays = tf.while_loop(
        lambda chunk, _: chunk < chunks, body, (0, arrays), parallel_iterations=1
    )
    index, sign, mass, ended = (array.concat() for array in arrays)
    return Nodes(index, sign, mass), ended
