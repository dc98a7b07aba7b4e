"""All paths at once: what forward-backward is to Viterbi, this is to the walk.

Mass is split among all positive contributions in proportion to them. There are no lists of nodes
but two maps for every tensor, one for each sign, and a step through a weighted sum is made of the
sum itself and its transpose, run on parts of one sign. In a network of ReLUs this is Excitation
Backprop (Zhang et al., "Top-down Neural Attention by Excitation Backprop", 2016).
"""

from collections.abc import Sequence

import tensorflow as tf

from .contributions import Arrival, At, Branches, Moves, Same, Sum, TracedCall, dims, product
from .graph import Graph
from .layouts import Layouts
from .mass import (
    Maps,
    add,
    all_mass,
    as_nodes,
    ended_where,
    full,
    is_empty,
    nothing,
    portion_of,
    swap,
)
from .nodes import Walked
from .rules import contributions_of, traced_call
from .sharing import call_shared


def spread_back(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    owner: tf.Tensor,
    target: tf.Tensor,
    layouts: Layouts,
    wanted: Sequence[int],
) -> Walked:
    """Spreads decisions over all paths back through the graph.

    Args:
        graph, tensors, owner, target, layouts: As for `walk_back`.
        wanted: Numbers of the tensors whose maps are kept.
    """
    tensors = _a_row_each(tensors, owner)
    high = tf.one_hot(target, tf.cast(product(dims(tensors[graph.output])), tf.int32))
    arriving = {graph.output: Maps(high, high[:0])}
    kept, lost = {}, tf.zeros_like(owner, tf.float32)
    for call in reversed(graph.calls):
        (number,) = call.outputs
        maps = arriving.pop(number)
        if number in wanted:
            kept[number] = maps
        traced = traced_call(graph, call, tensors, layouts)
        parts, ended = _spread(contributions_of(call, traced), traced, maps)
        if ended is not None:
            lost += ended
        for read, part in zip(call.inputs, parts, strict=True):
            arriving[read] = Maps(*map(add, arriving[read], part)) if read in arriving else part
    kept.update((n, arriving[n]) for n in graph.inputs if n in arriving)
    return Walked({number: as_nodes(maps) for number, maps in kept.items()}, lost)


def _a_row_each(tensors: dict[int, tf.Tensor], owner: tf.Tensor) -> dict[int, tf.Tensor]:
    """From tensors of a batch to tensors with a row for each explanation."""
    images = tf.range(tf.shape(next(iter(tensors.values())), tf.int64)[0])
    rows = tf.cond(
        # With one explanation for each image nothing need be copied.
        tf.cond(
            tf.equal(tf.size(images), tf.size(owner)),
            lambda: tf.reduce_all(tf.equal(images, owner)),
            lambda: False,
        ),
        lambda: [tf.identity(t) for t in tensors.values()],
        lambda: [tf.gather(t, owner) for t in tensors.values()],
    )
    return {
        number: tf.ensure_shape(row, [None, *tensor.shape[1:]])
        for (number, tensor), row in zip(tensors.items(), rows, strict=True)
    }


def _spread(
    contributions: Same | Moves | Branches | Sum, call: TracedCall, maps: Maps
) -> tuple[list[Maps], tf.Tensor | None]:
    """One step: maps at each input of the call, and the (E,) mass that ended, if any can."""
    if isinstance(contributions, Same):
        return [_through_same(contributions, call, maps)], None
    if isinstance(contributions, Moves):
        return _through_moves(contributions, call, maps)
    if isinstance(contributions, Branches):
        return _through_branches(contributions, call, maps)
    return _through_sum(contributions, maps)


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
) -> tuple[list[Maps], tf.Tensor | None]:
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
    if any(arrival.flip is not None for arrival in arrivals):
        low = full(low, high)
    parts = [
        _scatter(arrival, explanation, tensor, high, low)
        for arrival, tensor in zip(arrivals, call.inputs, strict=True)
    ]
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
        total = tf.add_n(parts)
        portion = portion_of(mass, total)
        return [part * portion for part in parts], ended_where(mass, total <= 0)

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


def _through_sum(layer: Sum, maps: Maps) -> tuple[list[Maps], tf.Tensor]:
    high, low, ended = call_shared(_spread_sum, None, layer, *maps)
    return [Maps(high, low)], ended


def _spread_sum(_, layer: Sum, asked_high: tf.Tensor, asked_low: tf.Tensor) -> tuple:
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
        total = tf.reshape(tf.add_n(totals), tf.shape(asked))
        portion = tf.reshape(portion_of(asked, total), tf.shape(totals[0]))
        found = [
            active * tape.gradient(own, active, portion)
            for (active, _), own, tape in zip(terms, totals, tapes, strict=True)
        ]
        return *found, ended_where(asked, total <= 0)

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
        tf.reduce_any(source < 0),
        lambda: tf.cond(is_empty(asked_low), signed, signed_with_low),
        lambda: tf.cond(is_empty(asked_low), positive, positive_with_low),
    )
    units = tf.size(source) // tf.shape(source)[0]
    return tf.reshape(high, [-1, units]), tf.reshape(low, [-1, units]), ended
