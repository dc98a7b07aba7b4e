"""All paths at once: what forward-backward is to Viterbi, this is to the walk.

Mass is split among all positive contributions in proportion to them. There are no lists of nodes
but two maps for every tensor, one for each sign, and a step through a weighted sum is made of the
sum itself and its transpose, run on parts of one sign. In a network of ReLUs this is Excitation
Backprop (Zhang et al., "Top-down Neural Attention by Excitation Backprop", 2016).
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from .contributions import Arrival, At, Branches, Moves, Same, Sum, TracedCall, dims, product
from .graph import Graph
from .layouts import Layouts
from .nodes import Nodes
from .rules import contributions_of


class Maps(NamedTuple):
    """The mass in every unit of a tensor, (E, *dims) float32, for units that are asked why they are
    high and why they are low. A map has no rows at all where it would hold zeros only.
    """

    high: tf.Tensor
    low: tf.Tensor


class Spread(NamedTuple):
    """Result.

    Attributes:
        nodes: By tensor number, all units with mass; absent where nobody wants them.
        lost: (E,) float32, mass of the paths of each explanation that ended on the way.
    """

    nodes: dict[int, Nodes]
    lost: tf.Tensor


def spread_back(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    owner: tf.Tensor,
    target: tf.Tensor,
    layouts: Layouts,
    wanted: Sequence[int],
) -> Spread:
    """Spreads decisions over all paths back through the graph.

    Args:
        graph, tensors, owner, target, layouts: As for `walk_back`.
        wanted: Numbers of the tensors whose maps are kept.
    """
    row = _row_of(owner)
    output = row(tensors[graph.output])
    high = tf.one_hot(target, tf.cast(product(dims(output)), tf.int32))
    arriving = {graph.output: Maps(tf.reshape(high, tf.shape(output)), _nothing(output))}
    kept, lost = {}, tf.zeros_like(owner, tf.float32)
    for call in reversed(graph.calls):
        (number,) = call.outputs
        maps = arriving.pop(number)
        if number in wanted:
            kept[number] = maps
        traced = TracedCall(
            call.layer, [row(tensors[n]) for n in call.inputs], row(tensors[number]), layouts
        )
        parts, ended = _spread(contributions_of(call, traced), traced, maps)
        if ended is not None:
            lost += ended
        for read, part in zip(call.inputs, parts, strict=True):
            arriving[read] = _sum(arriving[read], part) if read in arriving else part
    kept.update((n, arriving[n]) for n in graph.inputs if n in arriving)
    return Spread({number: _as_nodes(maps) for number, maps in kept.items()}, lost)


def _as_nodes(maps: Maps) -> Nodes:
    def of(mass: tf.Tensor, sign: float) -> Nodes:
        mass = tf.reshape(mass, [-1])
        index = tf.where(mass > 0)[:, 0]
        return Nodes(index, tf.fill(tf.shape(index), sign), tf.gather(mass, index))

    fields = zip(of(maps.high, 1.0), of(maps.low, -1.0), strict=True)
    return Nodes(*(tf.concat(field, 0) for field in fields))


def _row_of(owner: tf.Tensor):
    """From a tensor of a batch to one with a row for each explanation."""

    def row(tensor: tf.Tensor) -> tf.Tensor:
        # With one explanation for each image, nothing need be copied.
        rows = tf.cond(alike(tensor), lambda: tf.identity(tensor), lambda: tf.gather(tensor, owner))
        return tf.ensure_shape(rows, [None, *tensor.shape[1:]])

    def alike(tensor: tf.Tensor) -> tf.Tensor:
        rows = tf.shape(tensor, tf.int64)[0]
        return tf.equal(rows, tf.size(owner, tf.int64)) & tf.reduce_all(
            tf.equal(owner, tf.range(tf.size(owner, tf.int64)))
        )

    return row


def _nothing(tensor: tf.Tensor) -> tf.Tensor:
    return tf.zeros_like(tensor[:0], tf.float32)


def _is_empty(tensor: tf.Tensor) -> tf.Tensor:
    return tf.equal(tf.shape(tensor)[0], 0)


def _sum(a: Maps, b: Maps) -> Maps:
    """Adds maps, either of which may be without rows."""

    def add(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            _is_empty(x),
            lambda: tf.identity(y),
            lambda: tf.cond(_is_empty(y), lambda: tf.identity(x), lambda: x + y),
        )

    return Maps(add(a.high, b.high), add(a.low, b.low))


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
    high, low = maps
    if same.flips is not None:
        turned = tf.broadcast_to(
            tf.reshape(same.flips, [-1, tf.size(same.flips)]) < 0,
            [tf.size(call.output[0]) // tf.size(same.flips), tf.size(same.flips)],
        )
        turned = tf.reshape(turned, [1, *tf.unstack(tf.shape(call.output)[1:])])
        high, low = tf.cond(
            tf.reduce_any(same.flips < 0),
            lambda: _swap(turned, high, _full(low, high)),
            lambda: (high, low),
        )
    return Maps(*(tf.reshape(m, [-1, *dims(call.input)]) for m in (high, low)))


def _swap(turned: tf.Tensor, high: tf.Tensor, low: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.where(turned, low, high), tf.where(turned, high, low)


def _full(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """A map with all rows."""
    full = tf.cond(_is_empty(low), lambda: tf.zeros_like(high), lambda: tf.identity(low))
    return tf.ensure_shape(full, high.shape)


def _through_moves(
    moves: Moves, call: TracedCall, maps: Maps
) -> tuple[list[Maps], tf.Tensor | None]:
    if moves.back is not None:
        shapes = [_nothing(tensor) for tensor in call.inputs]
        highs = moves.back(maps.high)
        lows = tf.cond(_is_empty(maps.low), lambda: shapes, lambda: list(moves.back(maps.low)))
        return [Maps(*pair) for pair in zip(highs, lows, strict=True)], None
    explanations, size = tf.shape(maps.high, tf.int64)[0], tf.size(call.output[0], tf.int64)
    explanation = tf.repeat(tf.range(explanations), size)
    unit = tf.tile(tf.range(size), [explanations])
    at = At(explanation, explanation, unit, tf.ones_like(unit, tf.float32))
    arrivals = moves.to(at)
    high, low = maps
    if any(arrival.flip is not None for arrival in arrivals):
        low = _full(low, high)
    parts = [
        _scatter(arrival, explanation, tensor, high, low)
        for arrival, tensor in zip(arrivals, call.inputs, strict=True)
    ]
    if any(arrival.here is None for arrival in arrivals):
        return parts, None
    nowhere = ~tf.reduce_any([arrival.here for arrival in arrivals], axis=0)
    return parts, sum(_ended(m, tf.reshape(nowhere, [-1, *m.shape[1:]])) for m in maps)


def _scatter(
    arrival: Arrival, explanation: tf.Tensor, tensor: tf.Tensor, high: tf.Tensor, low: tf.Tensor
) -> Maps:
    """Puts the mass of all units where they arrive in one input."""
    if arrival.flip is not None:
        turned = tf.reshape(arrival.flip < 0, tf.shape(high))
        high, low = _swap(turned, high, low)
    size = tf.size(tensor[0], tf.int64)
    place = explanation * size + arrival.unit
    if arrival.here is not None:
        place = tf.where(arrival.here, place, -1)
    rows = tf.shape(high, tf.int64)[0]

    def put(mass: tf.Tensor) -> tf.Tensor:
        # Negative places are left out.
        found = tf.math.unsorted_segment_sum(tf.reshape(mass, [-1]), place, rows * size)
        return tf.reshape(found, [-1, *dims(tensor)])

    nothing = _nothing(tensor)
    return Maps(put(high), tf.cond(_is_empty(low), lambda: nothing, lambda: put(low)))


def _through_branches(
    branches: Branches, call: TracedCall, maps: Maps
) -> tuple[list[Maps], tf.Tensor]:
    shape = tf.shape(call.output)
    values = [tf.broadcast_to(tf.cast(tensor, tf.float32), shape) for tensor in call.inputs]

    def split(mass: tf.Tensor, sign: float) -> tuple[list[tf.Tensor], tf.Tensor]:
        """What one map gives to each input, and what of it ends."""
        asked = tf.fill(shape, sign)
        parts = [tf.maximum(part, 0.0) for part in branches.parts(asked, values)]
        total = tf.add_n(parts)
        return [part * _portion(mass, total) for part in parts], _ended(mass, total <= 0)

    if branches.flips is None:
        nothing = [_nothing(call.output)] * len(values)
        highs, ended = split(maps.high, 1.0)
        lows, more = tf.cond(
            _is_empty(maps.low),
            lambda: (nothing, tf.zeros_like(ended)),
            lambda: split(maps.low, -1.0),
        )
    else:
        highs, ended = split(maps.high, 1.0)
        lows, more = split(_full(maps.low, maps.high), -1.0)
        turns = [flip < 0 for flip in branches.flips(values)]
        pairs = [_swap(*p) for p in zip(turns, highs, lows, strict=True)]
        highs, lows = zip(*pairs, strict=True)
    highs, lows = (
        [_unbroadcast(mass, tensor) for mass, tensor in zip(masses, call.inputs, strict=True)]
        for masses in (highs, lows)
    )
    return [Maps(*pair) for pair in zip(highs, lows, strict=True)], ended + more


def _unbroadcast(mass: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """Adds the mass up that broadcasting `tensor` has spread."""
    sizes = tensor.shape.as_list()[1:]
    extra = mass.shape.rank - 1 - len(sizes)
    mass = tf.reduce_sum(mass, axis=list(range(1, extra + 1))) if extra else mass
    if mass.shape[1:].is_fully_defined() and mass.shape[1:] == tensor.shape[1:]:
        return mass
    alone = [axis for axis, size in enumerate(sizes, 1) if size == 1]
    return tf.reduce_sum(mass, axis=alone, keepdims=True) if alone else mass


def _through_sum(layer: Sum, maps: Maps) -> tuple[list[Maps], tf.Tensor]:
    """The contributions of y = Σ W·A to a high unit are W·A, so both factors must have one sign;
    to a low unit they are -W·A. A unit with A > 0 is asked why it is high, whoever asks, since a
    child's sign is its parent's times that of W.
    """
    source = tf.cast(layer.source, tf.float32)
    nothing = _nothing(source)
    rises, falls = tf.maximum(layer.weights, 0.0), tf.maximum(-layer.weights, 0.0)

    def sums(active: tf.Tensor, weights: tf.Tensor):
        """The sum of one sign's contributions, and its transpose."""
        with tf.GradientTape() as tape:
            tape.watch(active)
            total = layer.apply(active, weights)
        return total, lambda portion: tape.gradient(total, active, portion)

    def plain():
        """Only units that are asked why they are high, at both ends."""
        total, back = sums(source, rises)
        return source * back(_portion(maps.high, total)), nothing, _ended(maps.high, total <= 0)

    def asked_low_too():
        asked_low = maps.low
        (high_rises, back_rises), (high_falls, back_falls) = (
            sums(source, rises),
            sums(source, falls),
        )
        p, q = _portion(maps.high, high_rises), _portion(asked_low, high_falls)
        ended = _ended(maps.high, high_rises <= 0) + _ended(asked_low, high_falls <= 0)
        return source * (back_rises(p) + back_falls(q)), nothing, ended

    def with_negative_inputs():
        asked_low = _full(maps.low, maps.high)
        high, low = tf.maximum(source, 0.0), tf.maximum(-source, 0.0)
        (high_rises, back_high_rises), (low_falls, back_low_falls) = (
            sums(high, rises),
            sums(low, falls),
        )
        (high_falls, back_high_falls), (low_rises, back_low_rises) = (
            sums(high, falls),
            sums(low, rises),
        )
        total, total_low = high_rises + low_falls, high_falls + low_rises
        p, q = _portion(maps.high, total), _portion(asked_low, total_low)
        ended = _ended(maps.high, total <= 0) + _ended(asked_low, total_low <= 0)
        to_high, to_low = (
            back_high_rises(p) + back_high_falls(q),
            back_low_falls(p) + back_low_rises(q),
        )
        return high * to_high, low * to_low, ended

    high, low, ended = tf.cond(
        tf.reduce_any(source < 0),
        with_negative_inputs,
        lambda: tf.cond(_is_empty(maps.low), plain, asked_low_too),
    )
    high, low = (tf.ensure_shape(m, [None, *source.shape[1:]]) for m in (high, low))
    return [Maps(high, low)], ended


def _portion(mass: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    return tf.where(total > 0, tf.math.divide_no_nan(mass, total), 0.0)


def _ended(mass: tf.Tensor, here: tf.Tensor) -> tf.Tensor:
    """The (E,) mass where nothing is followed; zeros for a map without rows."""
    return tf.cond(
        _is_empty(mass),
        lambda: tf.zeros(tf.shape(here)[:1]),
        lambda: tf.reduce_sum(tf.where(here, mass, 0.0), axis=list(range(1, mass.shape.rank))),
    )
