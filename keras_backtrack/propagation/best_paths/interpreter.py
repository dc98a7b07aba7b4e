"""Steps of a walk that TensorFlow takes: which contributions are followed, for all rules.

The common ones are taken in machine code (`steps.py`). This is for all others, for walks through
the cells of recurrent layers, and to take single steps again.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import tensorflow as tf

from ...graph.graph import Call, Graph
from ...rules import Rules
from ...rules.contributions import (
    Arrival,
    At,
    Branches,
    Contributions,
    Loop,
    Moves,
    Product,
    Same,
    Sum,
)
from ...rules.indexing import broadcast_back, dims, product, unravel, value_at
from ...rules.traced_call import TracedCall
from ..limits import Limits
from ..nodes import Nodes, Walked, cut, merge
from ..sums import follow_sum, locate, per_explanation
from ..traced_once import shared
from .recurrent import walk_loop


def step_back(
    graph: Graph,
    call: Call,
    position: int,
    tensors: dict[int, tf.Tensor],
    nodes: Nodes,
    owner: tf.Tensor,
    limits: Limits,
    rules: Rules,
) -> tuple[list[Nodes | None], tf.Tensor | None]:
    """Takes a single step of a walk, without merging what arrives.

    Args:
        graph: The calls.
        call, position: One of them, and which of its outputs the nodes are at.
        tensors: Activation of every tensor of the call, by number.
        nodes: Nodes there, in ascending order of index.
        owner: (E,) int64, which row of the batch each explanation is about.
        limits: How many contributions are kept.
        rules: Which rule serves which call.

    Returns:
        The nodes in each input of the call, None for inputs that are not followed; and the (E,)
        mass that ended, None where none can.
    """
    traced = rules.trace(graph, call, position, tensors)
    walk = _Walk(tensors, owner, limits, rules)
    return walk._follow(rules.ask(traced), traced, nodes)


@dataclass(frozen=True)
class _Walk:
    """What stays the same along a walk: the arguments of `step_back`."""

    tensors: dict[int, tf.Tensor]
    owner: tf.Tensor
    limits: Limits
    rules: Rules

    def back(self, graph: Graph, roots: dict[int, Nodes]) -> Walked:
        """Walks from nodes at some tensors to the graph's inputs."""
        arriving = defaultdict(list, {number: [nodes] for number, nodes in roots.items()})
        # Tensors where nodes arrived as they were, so that they need no merging if they are the
        # only.
        settled = set(roots)
        held, lost = {}, tf.zeros_like(self.owner, tf.float32)
        for call in reversed(graph.calls):
            for position, output in enumerate(call.outputs):
                if output not in arriving:
                    continue
                held[output] = nodes = _merged(arriving.pop(output), output in settled)
                traced = self.rules.trace(graph, call, position, self.tensors)
                contributions = self.rules.ask(traced)
                if isinstance(contributions, Same):
                    settled.add(call.inputs[traced.of])
                parts, ended = self._follow(contributions, traced, nodes)
                if ended is not None:
                    lost += ended
                for number, follow, part in zip(call.inputs, traced.followed, parts, strict=True):
                    if follow:
                        arriving[number].append(part)
        for number in graph.inputs:
            if number in arriving:
                held[number] = _merged(arriving[number], number in settled)
        return Walked(held, lost)

    def _follow(
        self, contributions: Contributions, call: TracedCall, nodes: Nodes
    ) -> tuple[list[Nodes | None], tf.Tensor | None]:
        """One step: the nodes in each input of the call, and the (E,) mass that ended, if any can.

        None for inputs that are not followed.
        """
        size = tf.cast(product(dims(call.output)), tf.int64)
        if isinstance(contributions, Same):
            return call.among_inputs([_follow_same(contributions, nodes)]), None
        if isinstance(contributions, Sum):
            part, ended = follow_sum(self.limits, contributions, nodes, size, self.owner)
            sizes = [product(dims(tensor)) for tensor in call.followed_inputs]
            return call.among_inputs(cut(part, sizes)), ended
        if isinstance(contributions, Product):
            nodes = nodes._replace(mass=nodes.mass / len(contributions.sums))
            steps = [
                follow_sum(self.limits, factor, nodes, size, self.owner)
                for factor in contributions.sums
            ]
            return call.among_inputs([part for part, _ in steps]), sum(ended for _, ended in steps)
        if isinstance(contributions, Loop):
            return walk_loop(contributions, call, nodes, self.owner, self._at_step)
        if isinstance(contributions, (Moves, Branches)):
            return self._move(contributions, call, locate(nodes, size, self.owner), nodes.mass)
        raise TypeError(
            "A rule must return Same, Moves, Branches, a Sum, Product or Loop. "
            f"Received: {contributions!r} for layer {call.layer.name!r}."
        )

    def _move(
        self, contributions: Moves | Branches, call: TracedCall, at: At, mass: tf.Tensor
    ) -> tuple[list[Nodes | None], tf.Tensor | None]:
        if isinstance(contributions, Branches):
            arrivals = _best_branch(contributions, call, at)
        else:
            arrivals = contributions.to(at)
        parts: list[Nodes | None] = []
        somewhere = tf.zeros_like(mass, tf.bool)
        for tensor, arrival in zip(call.inputs, arrivals, strict=True):
            if arrival is None:
                parts.append(None)
                continue
            sign = at.sign if arrival.flip is None else at.sign * arrival.flip
            part = Nodes(at.explanation * product(dims(tensor)) + arrival.unit, sign, mass)
            if arrival.here is None:
                return [part], None
            parts.append(part.where(arrival.here))
            somewhere |= arrival.here
        return parts, per_explanation(tf.where(somewhere, 0.0, mass), at, self.owner)

    def _at_step(
        self, cell: Graph, tensors: dict[int, tf.Tensor], roots: dict[int, Nodes]
    ) -> tuple[dict[int, Nodes], tf.Tensor]:
        """The same walk through a cell of a recurrent layer."""
        walked = replace(self, tensors=tensors).back(cell, roots)
        return walked.nodes, walked.lost


def _merged(parts: list[Nodes], settled: bool) -> Nodes:
    return parts[0] if settled and len(parts) == 1 else merge(parts)


def _best_branch(contributions: Branches, call: TracedCall, at: At) -> list[Arrival]:
    """As Viterbi does at a join: the best branch takes it all, even if it contributes nothing."""
    place = unravel(at.unit, dims(call.output))
    units = [broadcast_back(place, dims(tensor)) for tensor in call.inputs]
    read = zip(call.inputs, units, strict=True)
    values = [value_at(tensor, at.image, unit) for tensor, unit in read]
    parts = tf.stack(contributions.parts(at.sign, values), axis=1)
    best = tf.math.top_k(parts, 1).indices[:, 0]
    flips = contributions.flips(values) if contributions.flips else [None] * len(units)
    return [
        Arrival(unit, flip, best == branch)
        for branch, (unit, flip) in enumerate(zip(units, flips, strict=True))
    ]


def _follow_same(contributions: Same, nodes: Nodes) -> Nodes:
    if contributions.flips is None:
        return nodes
    return nodes._replace(sign=_flip(nodes.index, nodes.sign, contributions.flips))


@shared(([None], tf.int64), ([None], tf.float32), ([None], tf.float32))
def _flip(index, sign, flips):
    return sign * tf.gather(flips, index % tf.size(flips, tf.int64))
