"""Steps that TensorFlow takes: which contributions are followed, for all rules.

The common ones are taken in machine code (`lowering.py`). This is for all others, and for questions
that are not yet single nodes: differences of two units go the same way, both at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from ...graph.graph import Call, Graph
from ...rules import Rules
from ...rules.contributions import Branches, Contributions, Moves, Product, Same, Sum, row_of
from ...rules.indexing import broadcast_back, dims, product, units_of, unravel, value_at
from ...rules.traced_call import TracedCall
from ..backward import Taken
from ..limits import NO_LIMITS, Limits
from ..nodes import Asked, cut
from ..shares import unless_overflown
from ..sums import follow_sum, per_explanation
from ..traced_once import shared

# Takes the walk, a sum, what is asked of it and the units in one row of its output. Returns what is
# asked of its input and the (E,) mass that ended.
ThroughSum = Callable[["Interpreter", Sum, Asked, int | tf.Tensor], tuple[Asked, tf.Tensor]]


def through_sum(
    walk: "Interpreter", layer: Sum, asked: Asked, size: int | tf.Tensor
) -> tuple[Asked, tf.Tensor]:
    """The best contributions of single nodes."""
    size = tf.cast(size, tf.int64)
    nodes, ended = follow_sum(walk.limits or NO_LIMITS, layer, asked.nodes, size, walk.image_index)
    return Asked.about(nodes), ended


@dataclass(frozen=True)
class Interpreter:
    """What stays the same along a way back.

    Attributes:
        tensors: Activations by tensor number.
        image_index: (E,) int64, which row of the batch each explanation is about.
        limits: How many contributions are kept; None for all, in every kind of step.
        rules: Which rule serves which call.
        through_sum: The step through a weighted sum.
    """

    tensors: dict[int, tf.Tensor]
    image_index: tf.Tensor
    limits: Limits | None
    rules: Rules
    through_sum: ThroughSum = through_sum

    def step(self, graph: Graph, call: Call, position: int, asked: Asked) -> Taken:
        """Takes a single step, without merging what arrives.

        Args:
            graph: The calls.
            call, position: One of them, and which of its outputs is asked about.
            asked: What is asked there; single nodes in ascending order of index.
        """
        traced = self.rules.trace(graph, call, position, self.tensors)
        return self.follow(self.rules.ask(traced), traced, asked)

    def follow(self, contributions: Contributions, call: TracedCall, asked: Asked) -> Taken:
        """As `step`, where it is known what the rule says."""
        walk = self if call.rows == 1 else replace(self, image_index=self._rows(call.rows))
        taken = row_of(_ROWS, contributions)(walk, contributions, call, asked)

        def mass_of(part: Asked, place: int) -> tf.Tensor:
            return walk.ended(part.mass, part.index[0] // units_of(call.inputs[place]))

        return taken.into(call, mass_of).of_images(call.rows)

    def _rows(self, rows: int) -> tf.Tensor:
        """Which row each is about, where each explanation is about so many rows of its image."""
        of_image = tf.range(rows, dtype=self.image_index.dtype)
        return tf.reshape(self.image_index[:, None] * rows + of_image, [-1])

    def ended(self, mass: tf.Tensor, explanation: tf.Tensor) -> tf.Tensor:
        """The (M,) mass that ended, for each explanation."""
        return per_explanation(mass, explanation, self.image_index)


def _same(walk: Interpreter, kind: Same, call: TracedCall, asked: Asked) -> Taken:
    """Everything stays in place."""
    if kind.flips is not None:
        signs = [
            _flip(i, sign, kind.flips) for i, sign in zip(asked.index, asked.sign, strict=True)
        ]
        asked = asked._replace(sign=signs)
    return Taken(call.among_inputs([asked]), stays=True)


def _moves(walk: Interpreter, kind: Moves, call: TracedCall, asked: Asked) -> Taken:
    """Each unit goes to its own place; where they come to different tensors, each alone."""
    size = units_of(call.output)
    at = asked.at(size, walk.image_index)
    arrivals = [kind.to(own) for own in at]
    there = _count(asked.sign)
    parts: list[Asked | None] = []
    arrived = tf.zeros_like(asked.mass)
    for tensor, *units in zip(call.inputs, *arrivals, strict=True):
        if units[0] is None:
            parts.append(None)
            continue
        signs = list(asked.sign)
        if units[0].flip is not None:
            signs = [sign * unit.flip for sign, unit in zip(signs, units, strict=True)]
        places = [unit.unit for unit in units]
        here = [unit.here for unit in units]
        if here[0] is not None:
            signs = [s * tf.cast(h, tf.float32) for s, h in zip(signs, here, strict=True)]
            # Places of units that are elsewhere need not exist here.
            places = [tf.where(h, p, tf.zeros_like(p)) for h, p in zip(here, places, strict=True)]
        first = at[0].explanation * units_of(tensor)
        count = _count(signs)
        part = Asked([first + place for place in places], signs, asked.mass * count / there)
        if here[0] is None:
            return Taken(call.among_inputs([part]))
        arrived += part.mass
        parts.append(part.where(count > 0))
    ended = walk.ended(tf.nn.relu(asked.mass - arrived), at[0].explanation)
    return Taken(parts, ended)


def _branches(walk: Interpreter, kind: Branches, call: TracedCall, asked: Asked) -> Taken:
    """As Viterbi does at a join: the best branch takes it all, even if it contributes nothing.

    Where all paths are followed, each branch that contributes gets its share. Of several units each
    branch contributes what it adds to their combination.
    """
    weigh = kind.parts if walk.limits is not None or kind.shares is None else kind.shares
    at = asked.at(units_of(call.output), walk.image_index)
    units, flips, parts = [], [], []
    for own in at:
        place = unravel(own.unit, dims(call.output))
        units.append([broadcast_back(place, dims(tensor)) for tensor in call.inputs])
        read = zip(call.inputs, units[-1], strict=True)
        values = [value_at(tensor, own.image, unit) for tensor, unit in read]
        contributed = tf.stack(weigh(own.sign, values), axis=1)
        parts.append(contributed * tf.abs(own.sign)[:, None])
        flips.append(kind.flips(values) if kind.flips else [1.0] * len(values))
    total = tf.add_n(parts)
    if walk.limits is None:
        total = tf.nn.relu(total)
        portion = tf.math.divide_no_nan(total, tf.reduce_sum(total, 1, keepdims=True))
    else:
        portion = tf.one_hot(tf.math.top_k(total, 1).indices[:, 0], tf.shape(total)[1])
    found = []
    for branch, tensor in enumerate(call.inputs):
        first = at[0].explanation * units_of(tensor)
        index = [first + own[branch] for own in units]
        signs = [sign * own[branch] for sign, own in zip(asked.sign, flips, strict=True)]
        part = Asked(index, signs, asked.mass * portion[:, branch])
        found.append(part.where(portion[:, branch] > 0))
    nobody = tf.reduce_sum(portion, axis=1) <= 0
    ended = tf.where(nobody, asked.mass, 0.0)
    ended = unless_overflown(tf.nn.relu(tf.reduce_max(total, axis=1)), ended)
    return Taken(found, walk.ended(ended, at[0].explanation))


def _sum(walk: Interpreter, kind: Sum, call: TracedCall, asked: Asked) -> Taken:
    part, ended = walk.through_sum(walk, kind, asked, product(dims(call.output)))
    sizes = [product(dims(tensor)) for tensor in call.followed_inputs]
    # Several inputs are one behind another.
    parts = [part] if len(sizes) == 1 else map(Asked.about, cut(part.nodes, sizes))
    return Taken(call.among_inputs(list(parts)), ended)


def _product(walk: Interpreter, kind: Product, call: TracedCall, asked: Asked) -> Taken:
    """A sum over either factor, each with an equal part of the mass."""
    asked = asked._replace(mass=asked.mass / len(kind.sums))
    size = product(dims(call.output))
    steps = [walk.through_sum(walk, factor, asked, size) for factor in kind.sums]
    return Taken(call.among_inputs([part for part, _ in steps]), sum(ended for _, ended in steps))


_ROWS: dict[type, Callable[[Interpreter, Any, TracedCall, Asked], Taken]] = {
    Same: _same,
    Moves: _moves,
    Branches: _branches,
    Sum: _sum,
    Product: _product,
}


def _count(signs: Sequence[tf.Tensor]) -> tf.Tensor:
    """How many of the units are there."""
    return tf.add_n([tf.abs(sign) for sign in signs])


@shared(([None], tf.int64), ([None], tf.float32), ([None], tf.float32))
def _flip(index, sign, flips):
    return sign * tf.gather(flips, index % tf.size(flips, tf.int64))
