"""All paths at once: what forward-backward is to Viterbi, this is to the walk.

Mass is split among all positive contributions in proportion to them. There are no lists of nodes
but two maps for every tensor, one for each sign, and a step through a weighted sum is made of the
sum itself and its transpose, run on parts of one sign. In a network of ReLUs this is Excitation
Backprop (Zhang et al., "Top-down Neural Attention by Excitation Backprop", 2016).

Alone, that tells little of the class: deep down, what speaks for any class comes from the same
places. `against` sets it off twice (after the contrastive form of theirs):

- At the first sum from the output, what speaks against the decision is followed as mass below 0.
- At the last map, the balance of each place is compared with the average place. Only what is above
  it speaks for the decision.

Spreading is linear in the mass, so both signs go down together, and what is above 0 is the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from ...graph.graph import Graph
from ...rules import Rules, reached
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
)
from ...rules.indexing import dims, product
from ...rules.traced_call import TracedCall
from ..contrast.start import start_alone
from ..limits import NO_LIMITS
from ..nodes import Nodes, Walked, held_by, merge
from ..sums import follow_sum
from ..traced_once import call_shared
from .dense_mass import (
    Maps,
    above_average,
    add,
    all_mass,
    as_maps,
    as_nodes,
    ended_where,
    full,
    has_places,
    is_empty,
    left_behind,
    net,
    nothing,
    swap,
)
from .recurrent import spread_loop


def spread_back(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    owner: tf.Tensor,
    roots: dict[int, Nodes],
    rules: Rules,
    wanted: Sequence[int],
) -> Walked:
    """Spreads decisions over all paths back through the graph.

    Args:
        graph, tensors, owner, rules: As for `step_back`, of the whole graph.
        roots: The nodes to start from, by tensor number.
        wanted: Numbers of the tensors whose maps are kept.
    """
    begun, passed = roots, {}
    if rules.against and graph.output in roots:
        start = start_alone(graph, tensors, owner, roots[graph.output], rules)
        passed = {number: nodes for number, nodes in start.passed.items() if number in wanted}
        begun = held_by({n: nodes for n, nodes in roots.items() if n != graph.output}, start.nodes)
    tensors = _a_row_each(graph, tensors, owner)
    explanations = tf.size(owner, tf.int64)

    def maps_of(nodes: dict[int, Nodes]) -> dict[int, Maps]:
        units = {n: tf.cast(product(dims(tensors[n])), tf.int64) for n in nodes}
        return {n: as_maps(own, explanations, units[n]) for n, own in nodes.items()}

    kept, lost = _Spread(tensors, rules, wanted).back(graph, maps_of(begun), rules.against)
    if rules.against:
        kept = {number: net(maps) for number, maps in kept.items()}
        # What ended, and what was outweighed.
        reached = [all_mass(kept[number]) for number in graph.inputs if number in kept]
        lost = tf.ones_like(lost) - sum(reached)
    return Walked(held_by(passed, {n: as_nodes(maps) for n, maps in kept.items()}), lost)


def _a_row_each(
    graph: Graph, tensors: dict[int, tf.Tensor], owner: tf.Tensor
) -> dict[int, tf.Tensor]:
    """From tensors of a batch to tensors with a row for each explanation."""
    read = {graph.output}.union(*([*call.inputs, *call.outputs] for call in reached(graph)))
    # What has no row for each image, such as a causal mask, stays as it is.
    read = [n for n in sorted(read) if tensors[n].shape.rank and tensors[n].shape[0] != 1]
    images = tf.range(tf.shape(tensors[graph.output], tf.int64)[0])
    rows = tf.cond(
        # With one explanation for each image nothing need be copied.
        tf.cond(
            tf.equal(tf.size(images), tf.size(owner)),
            lambda: tf.reduce_all(tf.equal(images, owner)),
            lambda: False,
        ),
        lambda: [tf.identity(tensors[n]) for n in read],
        lambda: [tf.gather(tensors[n], owner) for n in read],
    )
    shaped = [
        tf.ensure_shape(row, [None, *tensors[n].shape[1:]])
        for n, row in zip(read, rows, strict=True)
    ]
    return {**tensors, **dict(zip(read, shaped, strict=True))}


@dataclass(frozen=True)
class _Spread:
    """What stays the same on all paths: the arguments of `spread_back`."""

    tensors: dict[int, tf.Tensor]
    rules: Rules
    wanted: Sequence[int]

    def back(
        self, graph: Graph, roots: dict[int, Maps], compare: bool = False
    ) -> tuple[dict[int, Maps], tf.Tensor]:
        """Spreads from some tensors to the graph's inputs.

        Args:
            graph: The calls.
            roots: Where to start, by tensor number.
            compare: Whether to compare places, at the first map that everything comes through.

        Returns:
            The maps of the wanted tensors and of the inputs, by number, and the (E,) mass that
            ended.
        """
        arriving, kept = dict(roots), {}
        lost = tf.zeros(tf.shape(next(iter(roots.values())).high)[:1])
        for call in reversed(graph.calls):
            for position, output in enumerate(call.outputs):
                if output not in arriving:
                    continue
                maps = arriving.pop(output)
                if compare and not arriving and has_places(self.tensors[output]):
                    maps, compare = above_average(maps, self.tensors[output]), False
                if output in self.wanted:
                    kept[output] = maps
                traced = self.rules.trace(graph, call, position, self.tensors)
                parts, ended = self._spread(self.rules.ask(traced), traced, maps)
                if ended is not None:
                    lost += ended
                for read, follow, part in zip(call.inputs, traced.followed, parts, strict=True):
                    if follow:
                        both = read in arriving
                        arriving[read] = Maps(*map(add, arriving[read], part)) if both else part
        kept.update((n, arriving[n]) for n in graph.inputs if n in arriving)
        return kept, lost

    def _spread(
        self, contributions: Contributions, call: TracedCall, maps: Maps
    ) -> tuple[list[Maps | None], tf.Tensor | None]:
        """One step: maps at each input of the call, and the (E,) mass that ended, if any can."""
        if isinstance(contributions, Same):
            return call.among_inputs([_through_same(contributions, call, maps)]), None
        if isinstance(contributions, Moves):
            return _through_moves(contributions, call, maps)
        if isinstance(contributions, Branches):
            return _through_branches(contributions, call, maps)
        if isinstance(contributions, Loop):
            return spread_loop(contributions, call, maps, self._at_step)
        if isinstance(contributions, Product):
            maps = Maps(*(mass / len(contributions.sums) for mass in maps))
            steps = [self._through_sum(factor, maps) for factor in contributions.sums]
            return call.among_inputs([part for part, _ in steps]), sum(ended for _, ended in steps)
        part, ended = self._through_sum(contributions, maps)
        return call.among_inputs(_cut(part, call)), ended

    def _through_sum(self, layer: Sum, maps: Maps) -> tuple[Maps, tf.Tensor]:
        if isinstance(layer, LinearSum):
            high, low, ended = call_shared(_spread_sum, None, layer, *maps)
            return Maps(high, low), ended
        if not self.rules.against:
            return _node_by_node(layer, maps)
        # Nodes have mass above 0.
        for_it, against = (_node_by_node(layer, net(Maps(*both))) for both in (maps, _minus(maps)))
        pairs = zip(for_it[0], _minus(against[0]), strict=True)
        return Maps(*(add(*pair) for pair in pairs)), for_it[1] - against[1]

    def _at_step(self, cell: Graph, tensors: dict[int, tf.Tensor], roots: dict) -> tuple:
        """The same through a cell of a recurrent layer."""
        return _Spread(tensors, self.rules, ()).back(cell, roots)


def _cut(maps: Maps, call: TracedCall) -> list[Maps]:
    """A map of several inputs one behind another, as a map of each."""
    tensors = call.followed_inputs
    if len(tensors) == 1:
        return [maps]
    sizes = [tf.cast(product(dims(tensor)), tf.int32) for tensor in tensors]
    pairs = zip(*(tf.split(mass, sizes, axis=1) for mass in maps), strict=True)
    return [Maps(*pair) for pair in pairs]


def _through_same(same: Same, call: TracedCall, maps: Maps) -> Maps:
    if same.flips is None:
        return maps
    turned = same.flips < 0

    def turn() -> tuple[tf.Tensor, tf.Tensor]:
        copies = product(dims(call.output)) // tf.size(turned, tf.int64)
        everywhere = tf.tile(turned, [copies])[None]
        return swap(everywhere, maps.high, full(maps.low, maps.high))

    return Maps(*tf.cond(tf.reduce_any(turned), turn, lambda: (maps.high, maps.low)))


def _through_moves(
    moves: Moves, call: TracedCall, maps: Maps
) -> tuple[list[Maps | None], tf.Tensor | None]:
    if moves.back is not None:

        def back(mass: tf.Tensor) -> list[tf.Tensor]:
            found = moves.back(tf.reshape(mass, [-1, *dims(call.output)]))
            return [_flat(part, tensor) for part, tensor in zip(found, call.inputs, strict=True)]

        empty = [nothing(tensor) for tensor in call.inputs]
        lows = tf.cond(is_empty(maps.low), lambda: empty, lambda: back(maps.low))
        parts = [Maps(*pair) for pair in zip(back(maps.high), lows, strict=True)]
        ended = all_mass(maps) - sum(all_mass(part) for part in parts)
        return parts, tf.nn.relu(ended)
    explanations, size = tf.shape(maps.high, tf.int64)[0], tf.size(call.output[0], tf.int64)
    explanation = tf.repeat(tf.range(explanations), size)
    unit = tf.tile(tf.range(size), [explanations])
    at = At(explanation, explanation, unit, tf.ones_like(unit, tf.float32))
    arrivals = moves.to(at)
    high, low = maps
    if any(arrival is not None and arrival.flip is not None for arrival in arrivals):
        low = full(low, high)
    parts = [
        None if arrival is None else _scatter(arrival, explanation, tensor, high, low)
        for arrival, tensor in zip(arrivals, call.inputs, strict=True)
    ]
    arrivals = [arrival for arrival in arrivals if arrival is not None]
    if any(arrival.here is None for arrival in arrivals):
        return parts, None
    nowhere = ~tf.reduce_any([arrival.here for arrival in arrivals], axis=0)
    nowhere = tf.reshape(nowhere, [-1, size])
    return parts, ended_where(high, nowhere) + ended_where(low, nowhere)


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


def _through_branches(
    branches: Branches, call: TracedCall, maps: Maps
) -> tuple[list[Maps], tf.Tensor]:
    shape = tf.shape(call.output)
    values = [
        _flat(tf.broadcast_to(tf.cast(tensor, tf.float32), shape), call.output)
        for tensor in call.inputs
    ]

    def split(mass: tf.Tensor, sign: float) -> tuple[list[tf.Tensor], tf.Tensor]:
        """What one map gives to each input, and what of it ends."""
        parts = (branches.shares or branches.parts)(tf.constant(sign), values)
        parts = [tf.maximum(part, 0.0) for part in parts]
        portion = tf.math.divide_no_nan(mass, tf.add_n(parts))
        found = [part * portion for part in parts]
        return found, left_behind(mass, found)

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
    return parts, ended + more


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
        return *found, left_behind(asked, found)

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
