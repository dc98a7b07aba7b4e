"""Landmarks on the way back: the last maps, where places are told apart first, and the fine layers,
down to which maps are small.

A landmark of an input is a tensor that everything comes through on its way from the output to that
input, so that a walk may stop there and another one go on.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from ..graph.graph import Call, Graph
from ..graph.layout import places_first
from ..rules import Rules, followed, reached
from ..rules.activations import is_activation
from ..rules.contributions import (
    Contributions,
    Extreme,
    LinearSum,
    Loop,
    Moves,
    Product,
    Sum,
)
from .backward import Place, places_back
from .over_activations import any_batch

_PIXELS = 16  # of an input, along each axis, for which a fine layer has at least a cell
_CELLS = 8  # that it has at least along each axis, however small the input
_NOMINAL = (256, 224, 299)  # sizes tried for axes that may have any

# Takes a place, returns what a rule says of it.
Ask = Callable[[Place], Contributions]


class Landmarks(NamedTuple):
    """Of each input that has them, by its number.

    Attributes:
        last_maps: The first tensor on the way back whose places decisions are spread over, or else
            the first that has places. It is behind the first sums over units of different kinds,
            where what speaks for a decision is first told from what speaks against it.
        fine_layers: Below the coarsest map the first tensor with at least a cell to 16 pixels, and
            at least eight along each axis; of the next ones the narrowest.
    """

    last_maps: dict[int, int]
    fine_layers: dict[int, int]


def landmarks(graph: Graph, rules: Rules) -> Landmarks:
    """Finds a graph's landmarks, without running it.

    Args:
        graph: The calls.
        rules: Which rule serves which of them.
    """
    found_shapes = _shapes(graph)
    if found_shapes is None:
        return Landmarks({}, {})
    # Places come first and channels last, wherever they are in the tensor.
    shapes = {n: places_first(s, n in graph.channels_first) for n, s in found_shapes.items()}
    last_maps: dict[int, int] = {}

    def find() -> None:
        tensors = {n: tf.compat.v1.placeholder(s.dtype, any_batch(s).shape) for n, s in specs}

        def ask(place: Place) -> Contributions:
            return rules.ask(rules.trace(graph, *place, tensors))

        start = _behind_first_sums(graph, shapes, ask)
        for source in graph.inputs:
            found = _last_map(graph, source, start, shapes, ask)
            if found is not None:
                last_maps[source] = found

    specs = [(number, graph.specs[number]) for number in graph.names]
    # Rules speak of tensors; of these only what they are made from is looked at.
    tf.function(find, autograph=False).get_concrete_function()
    fine = {}
    for source in graph.inputs:
        start = {last_maps.get(source, graph.output)}
        found = _fine_layer(graph, source, start, shapes)
        if found is not None:
            fine[source] = found
    return Landmarks(last_maps, fine)


# The sizes of a tensor's axes after the batch axis.
Shape = tuple[int, ...]


def has_places(shape: Sequence[Any]) -> bool:
    """Whether a tensor is a map, a sequence or a volume of several places.

    Args:
        shape: Sizes of its axes after the batch axis; the last is that of the channels.
    """
    return any(size != 1 for size in shape[:-1])


def _shapes(graph: Graph) -> dict[int, Shape] | None:
    """The shape of every tensor, for inputs of a nominal size where they may have any.

    None where no nominal size fits the network.
    """
    specs = {n: graph.specs[n].shape[1:].as_list() for n in graph.names}
    if all(None not in shape for shape in specs.values()):
        return {number: tuple(shape) for number, shape in specs.items()}

    for nominal in _NOMINAL:
        inputs = [
            tf.TensorSpec([1, *(size or nominal for size in specs[n])], graph.specs[n].dtype)
            for n in graph.inputs
        ]
        try:
            shapes = graph.shapes_for(inputs)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError):
            continue
        found = {n: shape[1:].as_list() for n, shape in shapes.items() if shape.rank}
        if len(found) == len(specs) and all(None not in shape for shape in found.values()):
            return {number: tuple(shape) for number, shape in found.items()}
    return None


def _leading_to(graph: Graph, source: int) -> set[int]:
    """Numbers of the tensors that decisions can come through on their way to an input."""
    numbers = {source}
    for call in reached(graph):
        if numbers.intersection(_reads(graph, call)):
            numbers.update(call.outputs)
    return numbers


def _reads(graph: Graph, call: Call) -> list[int]:
    return [n for n, follow in zip(call.inputs, followed(graph, call), strict=True) if follow]


def _way_to(graph: Graph, source: int, start: Collection[int]) -> Iterator[tuple[Place, bool]]:
    """The places on the way from some tensors to an input, and whether each is all there is."""
    leads = _leading_to(graph, source)
    open_ = leads.intersection(start)
    for place in places_back(reached(graph)):
        number = place.call.outputs[place.position]
        if number in open_:
            yield place, len(open_) == 1
            open_.discard(number)
            open_.update(leads.intersection(_reads(graph, place.call)))


def cuts(graph: Graph, source: int) -> list[int]:
    """Numbers of the tensors that everything comes through on its way to an input, from the output
    down, without either."""
    way = _way_to(graph, source, graph.outputs)
    found = [place.call.outputs[place.position] for place, is_all in way if is_all]
    return [number for number in found if number not in graph.outputs]


def _behind_first_sums(graph: Graph, shapes: dict[int, Shape], ask: Ask) -> dict[int, bool]:
    """Numbers of the tensors behind the first sums over units of different kinds, and whether
    decisions are spread over their places."""
    # Of a map of decisions one is asked about, of a vector of them there is no place to be in.
    open_, found = {graph.output: not has_places(shapes[graph.output])}, {}
    for place in places_back(reached(graph)):
        number = place.call.outputs[place.position]
        if number not in open_:
            continue
        was_spread, kind = open_.pop(number), ask(place)
        if isinstance(kind, Loop):
            found[number] = True
            continue
        into = found if ends_question(kind) else open_
        for read in _reads(graph, place.call):
            is_spread = _is_spread(kind, shapes[number], shapes[read], was_spread)
            into[read] = into.get(read, False) or is_spread
    found.update((n, is_spread) for n, is_spread in open_.items() if n in graph.inputs)
    return found


def ends_question(kind: Contributions) -> bool:
    """Whether a step sums over units of different kinds, so that single nodes are behind it."""
    is_channelwise = isinstance(kind, LinearSum) and kind.is_channelwise
    return isinstance(kind, (Sum, Product)) and not is_channelwise


def _is_spread(kind: Contributions, above: Shape, below: Shape, was_spread: bool) -> bool:
    """Whether decisions are spread over the places of a step's input.

    Args:
        kind: What the rule says of the step.
        above, below: Shape of the step's output and input.
        was_spread: Whether they are over those of its output.
    """
    if isinstance(kind, (Product, Loop)):
        return True
    if isinstance(kind, Sum):
        return was_spread or above[:-1] != below[:-1]
    is_move = isinstance(kind, Moves) and not isinstance(kind, Extreme)
    # Of a slice all other places are left behind, as of all tokens but that of the class.
    is_slice = is_move and math.prod(above) < math.prod(below)
    return was_spread and not is_slice


def _last_map(
    graph: Graph, source: int, start: dict[int, bool], shapes: dict[int, Shape], ask: Ask
) -> int | None:
    spread = {number for number, is_spread in start.items() if is_spread}
    first = None
    for place, is_all in _way_to(graph, source, start):
        number = place.call.outputs[place.position]
        if is_all and has_places(shapes[number]):
            if number in spread:
                return number
            first = first or number
        kind = ask(place)
        for read in _reads(graph, place.call):
            if _is_spread(kind, shapes[number], shapes[read], number in spread):
                spread.add(read)
    if source in spread and has_places(shapes[source]):
        return source
    return first


def _fine_layer(
    graph: Graph, source: int, start: Collection[int], shapes: dict[int, Shape]
) -> int | None:
    if not has_places(shapes[source]):
        return None
    way = [(p.call.outputs[p.position], is_all) for p, is_all in _way_to(graph, source, start)]
    way.append((source, True))
    maps = [
        number
        for number, _ in way
        if len(shapes[number]) == len(shapes[source]) and has_places(shapes[number])
    ]
    coarsest = min(maps, key=lambda number: math.prod(shapes[number][:-1]))
    below = [number for number, _ in way].index(coarsest)
    cuts = [number for number, is_all in way[below:] if is_all]
    first = next(i for i, n in enumerate(cuts) if n in maps and _is_fine(shapes[n], shapes[source]))
    found = cuts[first]
    for number in cuts[first + 1 : -1]:
        units, fewest = (math.prod(shapes[n]) for n in (number, found))
        maker = graph.maker(found)
        is_chain = maker is not None and _reads(graph, maker) == [number]
        if number not in maps or units > fewest or (units == fewest and not is_chain):
            break
        found = number
    # What is done to each unit alone leaves it the same place, under the name that people know.
    for number in reversed(cuts[first : cuts.index(found)]):
        maker = graph.maker(number)
        if maker is None or not is_activation(maker.layer):
            break
        found = number
    return found


def _is_fine(shape: Shape, source: Shape) -> bool:
    pairs = zip(shape[:-1], source[:-1], strict=True)
    return all(_PIXELS * cells >= size and cells >= min(_CELLS, size) for cells, size in pairs)
