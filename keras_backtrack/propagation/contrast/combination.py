"""One step of a question through a weighted sum: the contributions of a combination of units."""

from collections.abc import Sequence

import tensorflow as tf

from ...rules.contributions import At, LinearSum, Sum
from ...rules.weighted_sum import unit_weights
from ..best_paths.interpreter import Interpreter, ThroughSum
from ..limits import NO_LIMITS, Limits
from ..nodes import Asked, Nodes
from ..shares import Shares, split_both_ways, split_mass
from ..sums import in_chunks


def through_combination(contrast: bool) -> ThroughSum:
    """The step of `Interpreter`s for questions: the contributions are Σ_k sign_k·W_k·A.

    Args:
        contrast: Whether negative contributions are followed as well, with mass below 0. Only where
            all paths are.
    """

    def through(
        walk: Interpreter, layer: Sum, asked: Asked, size: int | tf.Tensor
    ) -> tuple[Asked, tf.Tensor]:
        at = asked.at(tf.cast(size, tf.int64), walk.image_index)
        if isinstance(layer, LinearSum) and layer.is_channelwise:
            part, ended = _to_places(walk.limits, layer, at, asked.mass)
        else:
            nodes, ended = _to_nodes(walk.limits, layer, at, asked.mass, size, contrast)
            part = Asked.about(nodes)
        return part, walk.ended(ended, at[0].explanation)

    return through


def _to_nodes(
    limits: Limits | None,
    layer: Sum,
    at: list[At],
    mass: tf.Tensor,
    size: int | tf.Tensor,
    contrast: bool,
) -> tuple[Nodes, tf.Tensor]:
    """The best contributions, or all of them.

    Args:
        limits: How many contributions are kept; None for all paths.
        layer: The sum.
        at: K places in its output, each with the sign it counts with.
        mass: (M,) float32.
        size: Units in one row of the output.
        contrast: As for `through_combination`.

    Returns:
        The nodes at the input, not merged, and the (M,) mass that ended.
    """
    kept = limits or NO_LIMITS
    read = _units_read(layer)

    def step(first: tf.Tensor, last: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
        own = [At(*(field[first:last] for field in place)) for place in at]
        weight, value = _contributions(layer, own, kept.include_bias)
        if contrast:
            chosen = split_both_ways(mass[first:last], value)
        elif limits is None or layer.member_limit is None:
            chosen = split_mass(mass[first:last], value, getattr(kept, layer.group_limit))
        else:
            chosen = _by_channel(layer, kept, mass[first:last], value)
        parent, unit, passed, ended = chosen
        negative = tf.gather_nd(weight, tf.stack([parent, unit], axis=1)) < 0
        # What speaks against is asked the other way round: why it is so high, or low.
        negative = tf.math.logical_xor(negative, passed < 0)
        index = tf.gather(own[0].explanation, parent) * read + unit
        return Nodes(index, 1.0 - 2.0 * tf.cast(negative, tf.float32), passed), ended

    width = tf.maximum(read, tf.cast(size, tf.int64))
    return in_chunks(step, tf.size(mass, tf.int64), width)


def _to_places(
    limits: Limits | None, layer: LinearSum, at: list[At], mass: tf.Tensor
) -> tuple[Asked, tf.Tensor]:
    """The places of a channelwise sum's input that count for the combination, as what is asked
    there.

    Args:
        limits, layer, at, mass: As for `_to_nodes`.

    Returns:
        What is asked at the input, and the (M,) mass that ended.
    """
    channels = tf.shape(layer.source, tf.int64)[-1]
    rows = layer.of_images(at[0].image)
    source = tf.cast(rows.source, tf.float32)
    channel = [own.unit % channels for own in at]
    weights, values = [], []
    for own, own_channel in zip(at, channel, strict=True):
        weight = unit_weights(rows, rows.weights, [own.unit], [own.sign])
        weight = tf.reshape(weight, [tf.shape(weight)[0], -1, tf.cast(channels, tf.int32)])
        values.append(tf.reduce_sum(weight * tf.reshape(source, tf.shape(weight)), axis=2))
        weights.append(tf.gather(weight, own_channel, axis=2, batch_dims=1))
    limit = None if limits is None else getattr(limits, layer.group_limit)
    parent, place, passed, ended = split_mass(mass, tf.add_n(values), limit)
    chosen = tf.stack([parent, place], axis=1)
    signs = [tf.sign(tf.gather_nd(weight, chosen)) for weight in weights]
    first = tf.gather(at[0].explanation, parent) * _units_read(layer) + place * channels
    index = [first + tf.gather(own, parent) for own in channel]
    return Asked(index, signs, passed), ended


def sums_of(layer: LinearSum, at: Sequence[At]) -> tf.Tensor:
    """The units' values, without the activation that a layer may end in: (M, K) float32."""
    rows = layer.of_images(at[0].image)
    sums = rows.apply(tf.cast(rows.source, tf.float32), rows.weights)
    sums = tf.reshape(sums, [tf.size(at[0].image), -1])
    found = [tf.gather(sums, own.unit, batch_dims=1) + _bias_of(layer, own.unit) for own in at]
    return tf.stack(found, axis=1)


def _bias_of(layer: Sum, unit: tf.Tensor) -> tf.Tensor:
    if layer.bias is None:
        return tf.zeros_like(unit, tf.float32)
    return tf.gather(layer.bias, unit % tf.size(layer.bias, tf.int64))


def _units_read(layer: Sum) -> tf.Tensor:
    return tf.size(layer.source, tf.int64) // tf.shape(layer.source, tf.int64)[0]


def _contributions(layer: Sum, at: list[At], include_bias: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """What each unit of the input weighs in each combination, and contributes: (M, units)."""
    if not isinstance(layer, LinearSum):
        value = tf.add_n([layer.groups(own, None).value for own in at])
        return tf.math.divide_no_nan(value, tf.gather(layer.source, at[0].image)), value
    rows, units = layer.of_images(at[0].image), [own.unit for own in at]
    weight = unit_weights(rows, rows.weights, units, [own.sign for own in at])
    value = weight * tf.reshape(tf.cast(rows.source, tf.float32), tf.shape(weight))
    if include_bias and layer.bias is not None:
        biases = [_bias_of(layer, own.unit) * own.sign for own in at]
        value += unit_weights(rows, tf.ones_like(rows.weights), units, biases)
    return weight, value


def _by_channel(layer: Sum, limits: Limits, mass: tf.Tensor, value: tf.Tensor) -> Shares:
    """The best channels by their sums, then in each the best positions (paper: Algorithm 2)."""
    channels = tf.shape(layer.source)[-1]
    value = tf.reshape(value, [tf.shape(value)[0], -1, channels])
    groups = split_mass(mass, tf.reduce_sum(value, axis=1), getattr(limits, layer.group_limit))
    inside = tf.gather_nd(
        tf.transpose(value, [0, 2, 1]), tf.stack([groups.parent, groups.choice], axis=1)
    )
    members = split_mass(groups.mass, inside, getattr(limits, layer.member_limit))
    ended = tf.math.unsorted_segment_sum(members.ended, groups.parent, tf.size(mass))
    channel = tf.gather(groups.choice, members.parent)
    unit = members.choice * tf.cast(channels, tf.int64) + channel
    parent = tf.gather(groups.parent, members.parent)
    return Shares(parent, unit, members.mass, groups.ended + ended)
