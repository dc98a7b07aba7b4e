"""One step of a pair through a weighted sum: the contributions of the difference of two units."""

from typing import NamedTuple

import tensorflow as tf

from ...rules.contributions import At, LinearSum, Sum
from ..limits import NO_LIMITS, Limits
from ..nodes import Nodes
from ..shares import split_both_ways, split_mass
from ..sums import in_chunks


class Pairs(NamedTuple):
    """Differences of two units of one tensor.

    Attributes:
        explanation: (M,) int64, whose they are.
        image: (M,) int64, which row of the batch that explanation is about.
        unit: (M, 2) int64, row-major places of the two.
        sign: (M, 2) float32, what each counts with: +1, -1, or 0 where it is not there.
        mass: (M,) float32 above 0.
    """

    explanation: tf.Tensor
    image: tf.Tensor
    unit: tf.Tensor
    sign: tf.Tensor
    mass: tf.Tensor

    def where(self, mask: tf.Tensor) -> "Pairs":
        """The pairs for which the (M,) bool mask is true."""
        return Pairs(*(tf.boolean_mask(field, mask) for field in self))

    def at(self) -> list[At]:
        """The places of the first units, and of the second."""
        units, signs = tf.unstack(self.unit, 2, 1), tf.unstack(self.sign, 2, 1)
        both = zip(units, signs, strict=True)
        return [At(self.explanation, self.image, unit, sign) for unit, sign in both]


def follow_difference(
    limits: Limits | None, layer: Sum, pairs: Pairs, size: tf.Tensor, against: bool = False
) -> tuple[Nodes, tf.Tensor]:
    """Follows differences from the output of a sum to single units of its input.

    The contributions are (W_a - W_b)·A over the inputs of either unit.

    Args:
        limits: How many contributions are kept; None for all paths.
        layer: The sum.
        pairs: Differences of its output's units.
        size: Units in one row of the output.
        against: Whether negative contributions are followed as well, with mass below 0. Only where
            all paths are.

    Returns:
        The nodes at the input, not merged, and the (M,) mass that ended.
    """
    kept = limits or NO_LIMITS
    read = tf.size(layer.source, tf.int64) // tf.shape(layer.source, tf.int64)[0]

    def step(first: tf.Tensor, last: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
        own = Pairs(*(field[first:last] for field in pairs))
        weight, value = _difference(layer, own, size, kept.include_bias)
        if against:
            parent, unit, mass, ended = split_both_ways(own.mass, value)
        elif limits is None or layer.member_limit is None:
            chosen = split_mass(own.mass, value, getattr(kept, layer.group_limit))
            parent, unit, mass, ended = chosen
        else:
            parent, unit, mass, ended = _by_channel(layer, kept, own.mass, value)
        negative = tf.gather_nd(weight, tf.stack([parent, unit], axis=1)) < 0
        # What speaks against is asked the other way round: why it is so high, or low.
        negative = tf.math.logical_xor(negative, mass < 0)
        index = tf.gather(own.explanation, parent) * read + unit
        return Nodes(index, 1.0 - 2.0 * tf.cast(negative, tf.float32), mass), ended

    return in_chunks(step, tf.size(pairs.mass, tf.int64), tf.maximum(read, size))


def follow_places(
    limits: Limits | None, layer: LinearSum, pairs: Pairs, size: tf.Tensor
) -> tuple[Pairs, tf.Tensor]:
    """The places of a channelwise sum's input where the one exceeds the other, as pairs.

    Args:
        limits, layer, pairs, size: As for `follow_difference`.

    Returns:
        The pairs at the input, and the (M,) mass that ended.
    """
    channels = tf.shape(layer.source, tf.int64)[-1]
    rows = layer.of_images(pairs.image)
    source = tf.cast(rows.source, tf.float32)
    channel = pairs.unit % channels
    weights, values = [], []
    for k in range(2):
        own = slice(k, k + 1)
        weight = _weights_of(rows, rows.weights, pairs.unit[:, own], pairs.sign[:, own], size)
        weight = tf.reshape(weight, [tf.shape(weight)[0], -1, tf.cast(channels, tf.int32)])
        values.append(tf.reduce_sum(weight * tf.reshape(source, tf.shape(weight)), axis=2))
        weights.append(tf.gather(weight, channel[:, k], axis=2, batch_dims=1))
    limit = None if limits is None else getattr(limits, layer.group_limit)
    parent, place, mass, ended = split_mass(pairs.mass, values[0] + values[1], limit)
    at = tf.stack([parent, place], axis=1)
    sign = tf.sign(tf.stack([tf.gather_nd(weight, at) for weight in weights], axis=1))
    unit = place[:, None] * channels + tf.gather(channel, parent)
    explanation, image = (tf.gather(f, parent) for f in (pairs.explanation, pairs.image))
    return Pairs(explanation, image, unit, sign, mass), ended


def sums_of(layer: LinearSum, pairs: Pairs) -> tf.Tensor:
    """The two units' values, without the activation that a layer may end in: (M, 2) float32."""
    rows = layer.of_images(pairs.image)
    sums = rows.apply(tf.cast(rows.source, tf.float32), rows.weights)
    found = tf.gather(tf.reshape(sums, [tf.size(pairs.image), -1]), pairs.unit, batch_dims=1)
    return found if layer.bias is None else found + _bias_of(layer, pairs.unit)


def _bias_of(layer: LinearSum, unit: tf.Tensor) -> tf.Tensor:
    return tf.gather(layer.bias, unit % tf.size(layer.bias, tf.int64))


def _difference(
    layer: Sum, pairs: Pairs, size: tf.Tensor, include_bias: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """What each unit of the input weighs in each difference, and contributes: (M, units)."""
    if not isinstance(layer, LinearSum):
        value = tf.add_n([layer.groups(at, None, None).value for at in pairs.at()])
        return tf.math.divide_no_nan(value, tf.gather(layer.source, pairs.image)), value
    rows = layer.of_images(pairs.image)
    weight = _weights_of(rows, rows.weights, pairs.unit, pairs.sign, size)
    value = weight * tf.reshape(tf.cast(rows.source, tf.float32), tf.shape(weight))
    if include_bias and layer.bias is not None:
        bias = _bias_of(layer, pairs.unit) * pairs.sign
        value += _weights_of(rows, tf.ones_like(rows.weights), pairs.unit, bias, size)
    return weight, value


def _weights_of(
    layer: LinearSum, weights: tf.Tensor, unit: tf.Tensor, factor: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
    """What the inputs weigh in sums of a few units: (M, units of the input).

    Args:
        layer: The sum, a row for each of M.
        weights: Its weights.
        unit: (M, K) int64, units of its output.
        factor: (M, K) float32, how often each is added.
        size: Units in one row of its output.
    """
    source = tf.cast(layer.source, tf.float32)
    rows = tf.broadcast_to(tf.range(tf.shape(unit, tf.int64)[0])[:, None], tf.shape(unit))
    shape = tf.stack([tf.shape(unit, tf.int64)[0], tf.cast(size, tf.int64)])
    seed = tf.scatter_nd(tf.stack([rows, unit], axis=2), factor, shape)
    with tf.GradientTape() as tape:
        tape.watch(source)
        output = layer.apply(source, weights)
    found = tape.gradient(output, source, tf.reshape(seed, tf.shape(output)))
    return tf.reshape(found, [tf.shape(source)[0], -1])


def _by_channel(layer: Sum, limits: Limits, mass: tf.Tensor, value: tf.Tensor) -> tuple:
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
    return tf.gather(groups.parent, members.parent), unit, members.mass, groups.ended + ended
