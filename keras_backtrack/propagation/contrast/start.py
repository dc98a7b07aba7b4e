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

from ...graph.graph import Graph
from ...rules import Rules
from ...rules.contributions import (
    Branches,
    Contributions,
    LinearSum,
    Loop,
    Moves,
    Product,
    Same,
    Sum,
)
from ...rules.indexing import broadcast_back, dims, product, unravel, value_at
from ...rules.traced_call import TracedCall
from ..limits import Limits
from ..nodes import Nodes, cut, merge
from .difference import Pairs, follow_difference, follow_places, sums_of


class Parted(NamedTuple):
    """What pairs lead to.

    Attributes:
        nodes: By tensor number, the nodes to walk on from.
        passed: By tensor number, the units of the pairs that came by, each with half of the mass.
        logits: (E, 2) float32, the two values behind the output's activation.
        lost: (E,) float32, mass that ended; 0 where what speaks against is followed, since it is
            known only in the end how much is left.
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
        graph, tensors, owner, rules: As for `step_back`, of the whole graph.
        unit: (E,) int64, the unit of the output each explanation asks about.
        versus: (E,) int64, the one it is told from.
        limits: How many contributions are kept; None for all paths.
    """
    mass = tf.ones_like(owner, tf.float32)
    explanation = tf.range(tf.size(owner, tf.int64))
    sign = tf.stack([mass, -mass], axis=1)
    pairs = Pairs(explanation, owner, tf.stack([unit, versus], axis=1), sign, mass)
    return _Walk(graph, tensors, owner, limits, rules).back(pairs)


def start_alone(
    graph: Graph, tensors: dict[int, tf.Tensor], owner: tf.Tensor, roots: Nodes, rules: Rules
) -> Parted:
    """Takes single units of the output back to where what speaks for and against them is weighed.

    Each is a difference from nothing, and goes the way of one.

    Args:
        graph, tensors, owner, rules: As for `start_pairs`.
        roots: Nodes at the output.
    """
    size = tf.cast(product(dims(tensors[graph.output])), tf.int64)
    explanation, unit = roots.index // size, roots.index % size
    sign = tf.stack([roots.sign, tf.zeros_like(roots.sign)], axis=1)
    image = tf.gather(owner, explanation)
    pairs = Pairs(explanation, image, tf.stack([unit, unit], axis=1), sign, roots.mass)
    return _Walk(graph, tensors, owner, None, rules).back(pairs)


@dataclass(frozen=True)
class _Walk:
    """What stays the same along a walk: the arguments of `start_pairs`."""

    graph: Graph
    tensors: dict[int, tf.Tensor]
    owner: tf.Tensor
    limits: Limits | None
    rules: Rules

    def back(self, start: Pairs) -> Parted:
        arriving = defaultdict(list)
        output = self.graph.output
        arriving[output].append(start)
        lost = tf.zeros_like(self.owner, tf.float32)
        found, passed, logits = defaultdict(list), {}, None
        for call in reversed(self.graph.calls):
            for position, number in enumerate(call.outputs):
                if number not in arriving:
                    continue
                pairs = _joined(arriving.pop(number))
                traced = self.rules.trace(self.graph, call, position, self.tensors)
                contributions = self.rules.ask(traced)
                if logits is None and not isinstance(contributions, Same):
                    logits = _logits(contributions, traced.output, pairs)
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
            logits = value_at(self.tensors[output], start.image[:, None], start.unit)
        if self._against:
            lost = tf.zeros_like(lost)
        return Parted({n: merge(parts) for n, parts in found.items()}, passed, logits, lost)

    @property
    def _against(self) -> bool:
        return self.limits is None and self.rules.against

    def _follow(
        self, contributions: Contributions, call: TracedCall, pairs: Pairs
    ) -> tuple[Sequence[Pairs | Nodes | None], tf.Tensor]:
        """One step: pairs or nodes in each input of the call, and the (E,) mass that ended."""
        size = product(dims(call.output))
        if isinstance(contributions, Same):
            return call.among_inputs([_through_same(contributions, pairs)]), 0.0
        if isinstance(contributions, Product):
            pairs = pairs._replace(mass=pairs.mass / len(contributions.sums))
            steps = [self._follow_difference(factor, pairs, size) for factor in contributions.sums]
            parts, ended = [part for part, _ in steps], sum(ended for _, ended in steps)
            return call.among_inputs(parts), self._by_explanation(ended, pairs)
        if isinstance(contributions, Sum):
            if isinstance(contributions, LinearSum) and contributions.is_channelwise:
                part, ended = follow_places(self.limits, contributions, pairs, size)
                parts = [part]
            else:
                part, ended = self._follow_difference(contributions, pairs, size)
                parts = cut(part, [product(dims(tensor)) for tensor in call.followed_inputs])
            return call.among_inputs(parts), self._by_explanation(ended, pairs)
        if isinstance(contributions, Moves):
            parts, ended = self._through_moves(contributions, call, pairs)
        else:
            parts, ended = self._through_branches(contributions, call, pairs)
        return parts, self._by_explanation(ended, pairs)

    def _follow_difference(self, layer: Sum, pairs: Pairs, size: tf.Tensor) -> tuple:
        return follow_difference(self.limits, layer, pairs, size, self._against)

    def _by_explanation(self, mass: tf.Tensor, pairs: Pairs) -> tf.Tensor:
        return tf.math.unsorted_segment_sum(mass, pairs.explanation, tf.size(self.owner))

    def _through_moves(self, moves: Moves, call: TracedCall, pairs: Pairs) -> tuple:
        one, other = (moves.to(at) for at in pairs.at())
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
            part = pairs._replace(unit=unit, sign=sign, mass=mass)
            parts.append(part.where(mass > 0))
        return parts, tf.nn.relu(pairs.mass - arrived)

    def _through_branches(self, branches: Branches, call: TracedCall, pairs: Pairs) -> tuple:
        units, flips, parts = [], [], []
        weigh = branches.parts
        if self.limits is None and branches.shares is not None:
            weigh = branches.shares
        for at in pairs.at():
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
            part = pairs._replace(unit=unit, sign=sign, mass=mass)
            found.append(part.where(mass > 0) if call.followed[branch] else None)
        return found, tf.where(tf.reduce_sum(portion, axis=1) > 0, 0.0, pairs.mass)


def _joined(parts: list[Pairs]) -> Pairs:
    fields = zip(*parts, strict=True)
    return parts[0] if len(parts) == 1 else Pairs(*(tf.concat(field, 0) for field in fields))


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


def _logits(contributions: Contributions, output: tf.Tensor, pairs: Pairs) -> tf.Tensor:
    if isinstance(contributions, LinearSum):
        return sums_of(contributions, pairs)
    return value_at(output, pairs.image[:, None], pairs.unit)
