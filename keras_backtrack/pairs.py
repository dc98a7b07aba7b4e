"""Why this and not that: decisions that start from the difference of two units.

From the output the two units are taken back together, one of them counted negatively, until they
meet a layer that sums over the same inputs for both. There the contributions are those of the
difference, (W_a - W_b)·A, and what they lead to are ordinary nodes. On the way:

- Activations and moves take each of the two to its own place, behind a soft-max to its logit. Where
  they come to different tensors, each goes on alone with half of the mass.
- A sum that leaves channels apart (pooling, resizing) splits the pair by place: it is followed to
  the places where the one exceeds the other most.
- Branches contribute what they add to the difference.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from .contributions import (
    At,
    Branches,
    Contributions,
    LinearSum,
    Loop,
    Moves,
    Product,
    Same,
    Sum,
    TracedCall,
    broadcast_back,
    dims,
    product,
    unravel,
    value_at,
)
from .graph import Graph
from .nodes import Nodes, cut, merge
from .rules import Rules
from .step import NO_LIMITS, Limits, in_chunks, split_mass


class Pairs(NamedTuple):
    """Differences of two units of one tensor.

    Attributes:
        explanation: (M,) int64, whose they are.
        unit: (M, 2) int64, row-major places of the two.
        sign: (M, 2) float32, what each counts with: +1, -1, or 0 where it is not there.
        mass: (M,) float32 above 0.
    """

    explanation: tf.Tensor
    unit: tf.Tensor
    sign: tf.Tensor
    mass: tf.Tensor

    def where(self, mask: tf.Tensor) -> "Pairs":
        """The pairs for which the (M,) bool mask is true."""
        return Pairs(*(tf.boolean_mask(field, mask) for field in self))


class Parted(NamedTuple):
    """What pairs lead to.

    Attributes:
        nodes: By tensor number, the nodes to walk on from.
        passed: By tensor number, the units of the pairs that came by, each with half of the mass.
        logits: (E, 2) float32, the two values behind the output's activation.
        lost: (E,) float32, mass that ended.
    """

    nodes: dict[int, Nodes]
    passed: dict[int, Nodes]
    logits: tf.Tensor
    lost: tf.Tensor


def start_pairs(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    owner: tf.Tensor,
    unit: tf.Tensor,
    versus: tf.Tensor,
    limits: Limits | None,
    rules: Rules,
) -> Parted:
    """Takes differences of two units of the output back to where they are single nodes.

    Args:
        graph, tensors, owner, rules: As for `walk_back`.
        unit: (E,) int64, the unit of the output each explanation asks about.
        versus: (E,) int64, the one it is told from.
        limits: As for `walk_back`; None for all paths.
    """
    return _Walk(graph, tensors, owner, limits, rules).back(unit, versus)


@dataclass(frozen=True)
class _Walk:
    """What stays the same along a walk: the arguments of `start_pairs`."""

    graph: Graph
    tensors: dict[int, tf.Tensor]
    owner: tf.Tensor
    limits: Limits | None
    rules: Rules

    def back(self, unit: tf.Tensor, versus: tf.Tensor) -> Parted:
        mass = tf.ones_like(self.owner, tf.float32)
        explanation = tf.range(tf.size(self.owner, tf.int64))
        both = tf.stack([unit, versus], axis=1)
        arriving = defaultdict(list)
        output = self.graph.output
        arriving[output].append(Pairs(explanation, both, tf.stack([mass, -mass], 1), mass))
        found, passed, lost, logits = defaultdict(list), {}, tf.zeros_like(mass), None
        for call in reversed(self.graph.calls):
            for position, number in enumerate(call.outputs):
                if number not in arriving:
                    continue
                pairs = _joined(arriving.pop(number))
                traced = self.rules.trace(self.graph, call, position, self.tensors)
                contributions = self.rules.ask(traced)
                if logits is None and not isinstance(contributions, Same):
                    logits = _logits(contributions, traced, self._image(pairs), pairs.unit)
                nodes = _singles(pairs, traced.output)
                if isinstance(contributions, Loop):
                    # Through a recurrent layer's steps each goes alone.
                    found[number].append(nodes)
                    continue
                passed[number] = nodes
                parts, ended = self._follow(contributions, traced, pairs)
                lost += ended
                for read, part in zip(call.inputs, parts, strict=True):
                    if part is not None:
                        (arriving if isinstance(part, Pairs) else found)[read].append(part)
        for number in self.graph.inputs:
            if number in arriving:
                pairs = _joined(arriving[number])
                found[number].append(_singles(pairs, self.tensors[number]))
        if logits is None:
            logits = value_at(self.tensors[output], self.owner[:, None], both)
        return Parted({n: merge(parts) for n, parts in found.items()}, passed, logits, lost)

    def _image(self, pairs: Pairs) -> tf.Tensor:
        return tf.gather(self.owner, pairs.explanation)

    def _follow(
        self, contributions: Contributions, call: TracedCall, pairs: Pairs
    ) -> tuple[Sequence[Pairs | Nodes | None], tf.Tensor]:
        """One step: pairs or nodes in each input of the call, and the (E,) mass that ended."""
        if isinstance(contributions, Same):
            return call.among_inputs([_through_same(contributions, pairs)]), 0.0
        if isinstance(contributions, Product):
            pairs = pairs._replace(mass=pairs.mass / len(contributions.sums))
            steps = [self._through_sum(factor, call, pairs) for factor in contributions.sums]
            parts, ended = [part for part, _ in steps], sum(ended for _, ended in steps)
            return call.among_inputs(parts), self._by_explanation(ended, pairs)
        if isinstance(contributions, Sum):
            if isinstance(contributions, LinearSum) and contributions.is_channelwise:
                part, ended = self._by_place(contributions, call, pairs)
                parts = [part]
            else:
                part, ended = self._through_sum(contributions, call, pairs)
                parts = cut(part, [product(dims(tensor)) for tensor in call.followed_inputs])
            return call.among_inputs(parts), self._by_explanation(ended, pairs)
        if isinstance(contributions, Moves):
            parts, ended = self._through_moves(contributions, call, pairs)
        else:
            parts, ended = self._through_branches(contributions, call, pairs)
        return parts, self._by_explanation(ended, pairs)

    def _by_explanation(self, mass: tf.Tensor, pairs: Pairs) -> tf.Tensor:
        return tf.math.unsorted_segment_sum(mass, pairs.explanation, tf.size(self.owner))

    def _at(self, pairs: Pairs) -> list[At]:
        image = self._image(pairs)
        units, signs = tf.unstack(pairs.unit, 2, 1), tf.unstack(pairs.sign, 2, 1)
        pairs_of = zip(units, signs, strict=True)
        return [At(pairs.explanation, image, unit, sign) for unit, sign in pairs_of]

    def _through_moves(self, moves: Moves, call: TracedCall, pairs: Pairs) -> tuple:
        one, other = (moves.to(at) for at in self._at(pairs))
        there = tf.abs(pairs.sign)
        count = tf.reduce_sum(there, axis=1)
        parts, arrived = [], tf.zeros_like(pairs.mass)
        for two in zip(one, other, strict=True):
            if two[0] is None:
                parts.append(None)
                continue
            unit = tf.stack([arrival.unit for arrival in two], axis=1)
            sign = pairs.sign
            if two[0].flip is not None:
                sign *= tf.stack([arrival.flip for arrival in two], axis=1)
            if two[0].here is not None:
                sign *= tf.cast(tf.stack([arrival.here for arrival in two], axis=1), tf.float32)
            mass = pairs.mass * tf.reduce_sum(tf.abs(sign), axis=1) / count
            arrived += mass
            # Places of units that are elsewhere need not exist here.
            unit = tf.where(sign == 0, tf.zeros_like(unit), unit)
            parts.append(Pairs(pairs.explanation, unit, sign, mass).where(mass > 0))
        return parts, tf.nn.relu(pairs.mass - arrived)

    def _through_branches(self, branches: Branches, call: TracedCall, pairs: Pairs) -> tuple:
        units, flips, parts = [], [], []
        weigh = branches.parts
        if self.limits is None and branches.shares is not None:
            weigh = branches.shares
        for at in self._at(pairs):
            place = unravel(at.unit, dims(call.output))
            units.append([broadcast_back(place, dims(tensor)) for tensor in call.inputs])
            read = zip(call.inputs, units[-1], strict=True)
            values = [value_at(tensor, at.image, unit) for tensor, unit in read]
            own = tf.stack(weigh(at.sign, values), axis=1)
            parts.append(own * tf.abs(at.sign)[:, None])
            ones = [tf.ones_like(value) for value in values]
            flips.append(branches.flips(values) if branches.flips else ones)
        total = parts[0] + parts[1]
        if self.limits is None:
            total = tf.nn.relu(total)
            portion = tf.math.divide_no_nan(total, tf.reduce_sum(total, 1, keepdims=True))
        else:
            # The best branch takes it all, even if it contributes nothing.
            portion = tf.one_hot(tf.math.top_k(total, 1).indices[:, 0], tf.shape(total)[1])
        found = []
        for branch in range(len(call.inputs)):
            unit = tf.stack([own[branch] for own in units], axis=1)
            sign = pairs.sign * tf.stack([own[branch] for own in flips], axis=1)
            mass = pairs.mass * portion[:, branch]
            part = Pairs(pairs.explanation, unit, sign, mass).where(mass > 0)
            found.append(part if call.followed[branch] else None)
        return found, tf.where(tf.reduce_sum(portion, axis=1) > 0, 0.0, pairs.mass)

    def _through_sum(self, layer: Sum, call: TracedCall, pairs: Pairs) -> tuple[Nodes, tf.Tensor]:
        """The nodes at the sum's input, and the (M,) mass that ended."""
        limits = self.limits or NO_LIMITS
        size = product(dims(call.output))
        read = tf.size(layer.source, tf.int64) // tf.shape(layer.source, tf.int64)[0]

        def step(first: tf.Tensor, last: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
            own = Pairs(*(field[first:last] for field in pairs))
            weight, value = self._difference(layer, own, size, limits.include_bias)
            if self.limits is None or layer.member_limit is None:
                chosen = split_mass(own.mass, value, getattr(limits, layer.group_limit))
                parent, unit, mass, ended = chosen
            else:
                parent, unit, mass, ended = _by_channel(layer, limits, own.mass, value)
            negative = tf.gather_nd(weight, tf.stack([parent, unit], axis=1)) < 0
            index = tf.gather(own.explanation, parent) * read + unit
            return Nodes(index, 1.0 - 2.0 * tf.cast(negative, tf.float32), mass), ended

        return in_chunks(step, tf.size(pairs.mass, tf.int64), tf.maximum(read, size))

    def _difference(
        self, layer: Sum, pairs: Pairs, size: tf.Tensor, include_bias: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What each unit of the input weighs in each difference, and contributes: (M, units)."""
        if not isinstance(layer, LinearSum):
            value = tf.add_n([layer.groups(at, None, None).value for at in self._at(pairs)])
            return tf.math.divide_no_nan(value, tf.gather(layer.source, self._image(pairs))), value
        rows = layer.of_images(self._image(pairs))
        weight = _weights_of(rows, rows.weights, pairs.unit, pairs.sign, size)
        value = weight * tf.reshape(tf.cast(rows.source, tf.float32), tf.shape(weight))
        if include_bias and layer.bias is not None:
            bias = tf.gather(layer.bias, pairs.unit % tf.size(layer.bias, tf.int64)) * pairs.sign
            value += _weights_of(rows, tf.ones_like(rows.weights), pairs.unit, bias, size)
        return weight, value

    def _by_place(
        self, layer: LinearSum, call: TracedCall, pairs: Pairs
    ) -> tuple[Pairs, tf.Tensor]:
        """The places of the input where the one exceeds the other most, both still a pair."""
        size, channels = product(dims(call.output)), tf.shape(layer.source, tf.int64)[-1]
        rows = layer.of_images(self._image(pairs))
        source = tf.cast(rows.source, tf.float32)
        channel = pairs.unit % channels
        weights, values = [], []
        for k in range(2):
            own = slice(k, k + 1)
            weight = _weights_of(rows, rows.weights, pairs.unit[:, own], pairs.sign[:, own], size)
            weight = tf.reshape(weight, [tf.shape(weight)[0], -1, tf.cast(channels, tf.int32)])
            values.append(tf.reduce_sum(weight * tf.reshape(source, tf.shape(weight)), axis=2))
            weights.append(tf.gather(weight, channel[:, k], axis=2, batch_dims=1))
        limit = None if self.limits is None else getattr(self.limits, layer.group_limit)
        parent, place, mass, ended = split_mass(pairs.mass, values[0] + values[1], limit)
        at = tf.stack([parent, place], axis=1)
        sign = tf.sign(tf.stack([tf.gather_nd(weight, at) for weight in weights], axis=1))
        unit = place[:, None] * channels + tf.gather(channel, parent)
        return Pairs(tf.gather(pairs.explanation, parent), unit, sign, mass), ended


def _joined(parts: list[Pairs]) -> Pairs:
    return parts[0] if len(parts) == 1 else Pairs(*(tf.concat(f, 0) for f in zip(*parts)))  # noqa: B905


def _singles(pairs: Pairs, tensor: tf.Tensor) -> Nodes:
    """The units of pairs, each asked by itself with half of the mass."""
    size = tf.cast(product(dims(tensor)), tf.int64)
    index = tf.reshape(pairs.explanation[:, None] * size + pairs.unit, [-1])
    sign, count = tf.reshape(pairs.sign, [-1]), tf.reduce_sum(tf.abs(pairs.sign), 1, keepdims=True)
    mass = tf.reshape(pairs.mass[:, None] * tf.abs(pairs.sign) / count, [-1])
    return merge([Nodes(index, sign, mass).where(mass > 0)])


def _through_same(same: Same, pairs: Pairs) -> Pairs:
    if same.flips is None:
        return pairs
    flips = tf.gather(same.flips, pairs.unit % tf.size(same.flips, tf.int64))
    return pairs._replace(sign=pairs.sign * flips)


def _logits(
    contributions: Contributions, call: TracedCall, image: tf.Tensor, unit: tf.Tensor
) -> tf.Tensor:
    """The two units' values, without the activation that a layer of weights may end in."""
    if not isinstance(contributions, LinearSum):
        return value_at(call.output, image[:, None], unit)
    rows = contributions.of_images(image)
    sums = rows.apply(tf.cast(rows.source, tf.float32), rows.weights)
    found = tf.gather(tf.reshape(sums, [tf.size(image), -1]), unit, batch_dims=1)
    if rows.bias is not None:
        found += tf.gather(rows.bias, unit % tf.size(rows.bias, tf.int64))
    return found


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
