"""All paths at once: what forward-backward is to Viterbi, this is to the walk.

Mass is split among all positive contributions in proportion to them. There are no lists of nodes
but two maps for every tensor, one for each sign, and a step through a weighted sum is made of the
sum itself and its transpose, run on parts of one sign. In a network of ReLUs this is Excitation
Backprop (Zhang et al., "Top-down Neural Attention by Excitation Backprop", 2016).

Where a question is asked with contrast (`contrast`), what is not ahead at the last map has mass
below 0. Spreading is linear in the mass, so both go down together, each along what speaks for it,
and of a place there is what is left above 0.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from ...graph.graph import Graph
from ...rules import Rules
from ...rules.contributions import (
    Arrival,
    At,
    Branches,
    Contributions,
    LinearSum,
    Loop,
    Moves,
    Product,
    Same,
    Sum,
    row_of,
)
from ...rules.indexing import dims, product
from ...rules.traced_call import TracedCall
from ..backward import Place, Taken, places_back, walk_back
from ..limits import NO_LIMITS
from ..nodes import Walked, merge
from ..shares import unless_overflown
from ..sums import follow_sum
from ..traced_once import call_shared
from .dense_mass import (
    Maps,
    add,
    all_mass,
    as_maps,
    as_nodes,
    ended_where,
    full,
    in_rows,
    is_empty,
    left_behind,
    net,
    nothing,
    of_images,
    swap,
)
from .recurrent import back_in_time


def spread_back(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    roots: dict[int, Maps],
    rules: Rules,
    wanted: Collection[int],
    until: Collection[int] = (),
    is_signed: bool = False,
) -> tuple[dict[int, Maps], tf.Tensor, dict[int, tf.Tensor]]:
    """Spreads decisions over all paths back through the graph.

    Args:
        graph: The calls.
        tensors: Activations by tensor number, with a row for each explanation.
        roots: The mass at first, by tensor number.
        rules: Which rule serves which of them.
        wanted: Numbers of the tensors whose mass is brought back.
        until: Numbers of the tensors that mass is not spread on from; theirs comes back, too.
        is_signed: Whether there may be mass below 0.

    Returns:
        The mass by tensor number, that of inputs too; the (E,) mass that ended; and by number that
        which ended there.
    """
    walked = Spread(tensors, rules, is_signed).back(graph, roots, until)
    brought = {*wanted, *until, *graph.inputs}
    held = {n: maps for n, maps in walked.nodes.items() if n in brought}
    return held, walked.lost, walked.ended


@dataclass(frozen=True)
class Spread:
    """What stays the same on all paths.

    Attributes:
        tensors: Activations by tensor number, with a row for each explanation.
        rules: Which rule serves which call.
        is_signed: Whether there may be mass below 0.
    """

    tensors: dict[int, tf.Tensor]
    rules: Rules
    is_signed: bool = False

    def back(self, graph: Graph, roots: dict[int, Maps], until: Collection[int] = ()) -> Walked:
        """Spreads from some tensors to others, or the graph's inputs: maps in place of nodes."""

        def take(place: Place, maps: Maps) -> Taken:
            traced = self.rules.trace(graph, *place, self.tensors)
            return self.follow(self.rules.ask(traced), traced, maps)

        def join(number: int, parts: list[Maps], is_settled: bool) -> Maps:
            maps, *others = parts
            for other in others:
                maps = Maps(*map(add, maps, other))
            return maps

        held, ended = walk_back(graph, places_back(graph.calls), roots, take, join, until)
        lost = tf.zeros(tf.shape(next(iter(roots.values())).high)[:1])
        return Walked(held, sum(ended.values(), lost), ended)

    def follow(self, contributions: Contributions, call: TracedCall, maps: Maps) -> Taken:
        """A single step."""
        maps = Maps(*(in_rows(mass, call.rows) for mass in maps))
        taken = row_of(_ROWS, contributions)(self, contributions, call, maps)
        taken = taken.into(call, lambda part, _: all_mass(part)).of_images(call.rows)
        parts = [p and Maps(*(of_images(mass, call.rows) for mass in p)) for p in taken.parts]
        return taken._replace(parts=parts)

    def at_step(self, cell: Graph, tensors: dict[int, tf.Tensor], roots: dict) -> Walked:
        """The same through a cell of a recurrent layer."""
        return replace(self, tensors=tensors).back(cell, roots)

    def through_sum(self, layer: Sum, maps: Maps) -> tuple[Maps, tf.Tensor]:
        """The step through a weighted sum."""
        if isinstance(layer, LinearSum):
            high, low, ended = call_shared(_spread_sum, None, layer, *maps)
            return Maps(high, low), ended
        if not self.is_signed:
            return _node_by_node(layer, maps)
        # Nodes have mass above 0.
        for_it, against = (_node_by_node(layer, net(Maps(*both))) for both in (maps, _minus(maps)))
        pairs = zip(for_it[0], _minus(against[0]), strict=True)
        return Maps(*(add(*pair) for pair in pairs)), for_it[1] - against[1]


def _loop(spread: Spread, kind: Loop, call: TracedCall, maps: Maps) -> Taken:
    return back_in_time(kind, call, maps, spread.at_step)


def _product(spread: Spread, kind: Product, call: TracedCall, maps: Maps) -> Taken:
    maps = Maps(*(mass / len(kind.sums) for mass in maps))
    steps = [spread.through_sum(factor, maps) for factor in kind.sums]
    return Taken(call.among_inputs([part for part, _ in steps]), sum(ended for _, ended in steps))


def _sum(spread: Spread, kind: Sum, call: TracedCall, maps: Maps) -> Taken:
    part, ended = spread.through_sum(kind, maps)
    return Taken(call.among_inputs(cut_maps(part, call)), ended)


def cut_maps(maps: Maps, call: TracedCall) -> list[Maps]:
    """A map of several inputs one behind another, as a map of each."""
    tensors = call.followed_inputs
    if len(tensors) == 1:
        return [maps]
    sizes = [tf.cast(product(dims(tensor)), tf.int32) for tensor in tensors]
    pairs = zip(*(tf.split(mass, sizes, axis=1) for mass in maps), strict=True)
    return [Maps(*pair) for pair in pairs]


def _same(spread: Spread, same: Same, call: TracedCall, maps: Maps) -> Taken:
    if same.flips is None:
        return Taken(call.among_inputs([maps]))
    turned = same.flips < 0

    def turn() -> tuple[tf.Tensor, tf.Tensor]:
        copies = product(dims(call.output)) // tf.size(turned, tf.int64)
        everywhere = tf.tile(turned, [copies])[None]
        return swap(everywhere, maps.high, full(maps.low, maps.high))

    turned_maps = tf.cond(tf.reduce_any(turned), turn, lambda: (maps.high, maps.low))
    return Taken(call.among_inputs([Maps(*turned_maps)]))


def _moves(spread: Spread, moves: Moves, call: TracedCall, maps: Maps) -> Taken:
    linear = moves.back
    if linear is not None:

        def back(mass: tf.Tensor) -> list[tf.Tensor]:
            found = linear(tf.reshape(mass, [-1, *dims(call.output)]))
            return [_flat(part, tensor) for part, tensor in zip(found, call.inputs, strict=True)]

        empty = [nothing(tensor) for tensor in call.inputs]
        lows = tf.cond(is_empty(maps.low), lambda: empty, lambda: back(maps.low))
        parts = [Maps(*pair) for pair in zip(back(maps.high), lows, strict=True)]
        ended = all_mass(maps) - sum(all_mass(part) for part in parts)
        return Taken(parts, tf.nn.relu(ended))
    explanations, size = tf.shape(maps.high, tf.int64)[0], tf.size(call.output[0], tf.int64)
    explanation = tf.repeat(tf.range(explanations), size)
    unit = tf.tile(tf.range(size), [explanations])
    at = At(explanation, explanation, unit, tf.ones_like(unit, tf.float32))
    arrivals = moves.to(at)
    found = [arrival for arrival in arrivals if arrival is not None]
    high, low = maps
    if any(arrival.flip is not None for arrival in found):
        low = full(low, high)
    arrived: list[Maps | None] = [
        None if arrival is None else _scatter(arrival, explanation, tensor, high, low)
        for arrival, tensor in zip(arrivals, call.inputs, strict=True)
    ]
    if not found:
        return Taken(arrived, all_mass(maps))
    if any(arrival.here is None for arrival in found):
        return Taken(arrived)
    nowhere = ~tf.reduce_any([arrival.here for arrival in found], axis=0)
    nowhere = tf.reshape(nowhere, [-1, size])
    return Taken(arrived, ended_where(high, nowhere) + ended_where(low, nowhere))


def _scatter(
    arrival: Arrival, explanation: tf.Tensor, tensor: tf.Tensor, high: tf.Tensor, low: tf.Tensor
) -> Maps:
    """Puts the mass of all units where they arrive in one input."""
    if arrival.flip is not None:
        turned = tf.reshape(arrival.flip < 0, tf.shape(high))
        high, low = swap(turned, high, low)
    size = tf.size(tensor[0], tf.int64)
    place = explanation * size + arrival.unit
    if arrival.here is not None:
        place = tf.where(arrival.here, place, -1)
    rows = tf.shape(high, tf.int64)[0]

    def put(mass: tf.Tensor) -> tf.Tensor:
        # Negative places are left out.
        found = tf.math.unsorted_segment_sum(tf.reshape(mass, [-1]), place, rows * size)
        return tf.reshape(found, [-1, size])

    empty = nothing(tensor)
    return Maps(put(high), tf.cond(is_empty(low), lambda: empty, lambda: put(low)))


def _flat(mass: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """Mass as a map of the tensor's units."""
    return tf.reshape(mass, [-1, product(dims(tensor))])


def _branches(spread: Spread, branches: Branches, call: TracedCall, maps: Maps) -> Taken:
    shape = tf.shape(call.output)
    values = [
        _flat(tf.broadcast_to(tf.cast(tensor, tf.float32), shape), call.output)
        for tensor in call.inputs
    ]

    def split(mass: tf.Tensor, sign: float) -> tuple[list[tf.Tensor], tf.Tensor]:
        """What one map gives to each input, and what of it ends."""
        parts = (branches.shares or branches.parts)(tf.constant(sign), values)
        parts = [tf.maximum(part, 0.0) for part in parts]
        total = tf.add_n(parts)
        portion = tf.math.divide_no_nan(mass, total)
        found = [part * portion for part in parts]
        return found, unless_overflown(tf.reduce_max(total), left_behind(mass, found))

    highs: Sequence[tf.Tensor]
    highs, ended = split(maps.high, 1.0)
    if branches.flips is None:
        empty = [maps.low[:0]] * len(values)
        lows, more = tf.cond(
            is_empty(maps.low),
            lambda: (empty, tf.zeros_like(ended)),
            lambda: split(maps.low, -1.0),
        )
    else:
        lows, more = split(full(maps.low, maps.high), -1.0)
        pairs = zip(branches.flips(values), highs, lows, strict=True)
        highs, lows = zip(*(swap(flip < 0, h, low) for flip, h, low in pairs), strict=True)
    parts = [
        Maps(*(_unbroadcast(mass, call.output, tensor) for mass in pair))
        for *pair, tensor in zip(highs, lows, call.inputs, strict=True)
    ]
    return Taken(parts, ended + more)


def _unbroadcast(mass: tf.Tensor, output: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """Adds the mass up that broadcasting `tensor` to `output` has spread."""
    sizes, wanted = dims(output), dims(tensor)
    wanted = [1] * (len(sizes) - len(wanted)) + wanted
    # An axis of 1 in both may be summed over as well.
    spread = [axis for axis, want in enumerate(wanted, 1) if isinstance(want, int) and want == 1]
    if not spread:
        return mass
    return _flat(tf.reduce_sum(tf.reshape(mass, [-1, *sizes]), axis=spread), tensor)


def _minus(maps: Maps) -> Maps:
    return Maps(*(-mass for mass in maps))


def _node_by_node(layer: Sum, maps: Maps) -> tuple[Maps, tf.Tensor]:
    nodes = merge([as_nodes(maps)])
    explanations, size = tf.unstack(tf.shape(maps.high, tf.int64))
    nodes, ended = follow_sum(NO_LIMITS, layer, nodes, size, tf.range(explanations))
    units = tf.size(layer.source, tf.int64) // tf.shape(layer.source, tf.int64)[0]
    return as_maps(nodes, explanations, units), ended


def _spread_sum(_, layer: LinearSum, asked_high: tf.Tensor, asked_low: tf.Tensor) -> tuple:
    """The contributions of y = Σ W·A to a high unit are W·A, so both factors must have one sign;
    to a low unit they are -W·A. A unit with A > 0 is asked why it is high, whoever asks, since a
    child's sign is its parent's times that of W.
    """
    source = tf.cast(layer.source, tf.float32)

    # Made where they are needed, in the branches: most networks need only some of them.
    def rises() -> tf.Tensor:
        return tf.nn.relu(layer.weights)

    def falls() -> tf.Tensor:
        return tf.nn.relu(-layer.weights)

    def spread(asked: tf.Tensor, *terms: tuple[tf.Tensor, tf.Tensor]) -> tuple:
        """Splits a map over one or two terms, each an input and weights that are nowhere negative.

        Returns what arrives in each term's input, and the (E,) mass that ended.
        """
        totals, tapes = [], []
        for active, weights in terms:
            with tf.GradientTape() as tape:
                tape.watch(active)
                totals.append(layer.apply(active, weights))
            tapes.append(tape)
        # Of what is nowhere negative, but for rounding.
        total = tf.nn.relu(tf.reshape(tf.add_n(totals), tf.shape(asked)))
        portion = tf.reshape(tf.math.divide_no_nan(asked, total), tf.shape(totals[0]))
        found = [
            active * tape.gradient(own, active, portion)
            for (active, _), own, tape in zip(terms, totals, tapes, strict=True)
        ]
        return *found, unless_overflown(tf.reduce_max(total), left_behind(asked, found))

    def positive():
        high, ended = spread(asked_high, (source, rises()))
        return high, high[:0], ended

    def positive_with_low():
        high, ended = spread(asked_high, (source, rises()))
        more, ended_low = spread(asked_low, (source, falls()))
        return high + more, high[:0], ended + ended_low

    def signed():
        above, below = tf.nn.relu(source), tf.nn.relu(-source)
        return spread(asked_high, (above, rises()), (below, falls()))

    def signed_with_low():
        above, below = tf.nn.relu(source), tf.nn.relu(-source)
        high, low, ended = spread(asked_high, (above, rises()), (below, falls()))
        more_high, more_low, ended_low = spread(asked_low, (above, falls()), (below, rises()))
        return high + more_high, low + more_low, ended + ended_low

    high, low, ended = tf.cond(
        tf.reduce_min(source) < 0,
        lambda: tf.cond(is_empty(asked_low), signed, signed_with_low),
        lambda: tf.cond(is_empty(asked_low), positive, positive_with_low),
    )
    units = tf.size(source) // tf.shape(source)[0]
    return tf.reshape(high, [-1, units]), tf.reshape(low, [-1, units]), ended


_ROWS: dict[type, Callable[[Spread, Any, TracedCall, Maps], Taken]] = {
    Same: _same,
    Moves: _moves,
    Branches: _branches,
    Sum: _sum,
    Product: _product,
    Loop: _loop,
}
