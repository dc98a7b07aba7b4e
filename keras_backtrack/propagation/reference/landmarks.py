"""Landmarks as plain loops: the last maps and the fine layers, from the shapes of activations.

A tensor is on every way to an input where that cannot be reached without it.
"""

from collections.abc import Collection, Iterator
from functools import cached_property
from math import prod

import numpy as np

from ...graph.graph import Call, Graph
from . import moving
from .followed import followed
from .kinds import Kind, kind_of
from .layout import channels_first, placed
from .plain_call import Paths
from .walk import rule_for, step_at

Shape = tuple[int, ...]


def has_places(shape: Shape) -> bool:
    """Whether an activation, without a batch axis, has several cells to each channel."""
    return any(size != 1 for size in shape[:-1])


class Landmarks:
    """Finds a graph's landmarks.

    Args:
        graph: The calls.
        activations: Every tensor's activation, without a batch axis.

    """

    def __init__(self, graph: Graph, activations: dict[int, np.ndarray]) -> None:
        self._graph, self._activations = graph, activations
        first = channels_first(graph)
        self._shapes = {n: placed(values.shape, n in first) for n, values in activations.items()}

    @cached_property
    def last_maps(self) -> dict[int, int]:
        """By number of an input the first tensor on every way to it whose places decisions are
        spread over, behind the sums that tell what speaks for them from what speaks against; else
        the first there that has places."""
        start = self._behind_first_sums()
        found = {source: self._last_map(source, start) for source in self._graph.inputs}
        return {source: number for source, number in found.items() if number is not None}

    @cached_property
    def fine_layers(self) -> dict[int, int]:
        """By number of an input with places the first tensor on every way to it, from the coarsest
        map down, with a cell to 16 pixels and 8 along each axis; of the next ones the narrowest."""
        graph = self._graph
        found = {s: self._fine_layer(s, self.last_maps.get(s, graph.output)) for s in graph.inputs}
        return {source: number for source, number in found.items() if number is not None}

    @cached_property
    def _kinds(self) -> dict[int, Kind]:
        steps = {
            number: step_at(self._graph, call, position, self._activations, Paths())
            for call, position, number in self._back()
        }
        return {number: kind_of(step) for number, step in steps.items()}

    @cached_property
    def _reads(self) -> dict[int, list[int]]:
        return {
            number: [call.inputs[i] for i in followed(self._graph, call)]
            for call, _, number in self._back()
        }

    def _back(self) -> Iterator[tuple[Call, int, int]]:
        for call in reversed(self._graph.calls):
            for position, number in enumerate(call.outputs):
                yield call, position, number

    def _reached(self, start: Collection[int], without: int | None = None) -> set[int]:
        """Everything that ways back from some tensors come to."""
        found: set[int] = set()
        waiting = [n for n in start if n != without]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += [n for n in self._reads.get(number, ()) if n != without]
        return found

    def _way(self, start: Collection[int], source: int) -> list[int]:
        """What is on the ways from some tensors to an input, the input last."""
        reached = self._reached(start)
        way = [n for _, _, n in self._back() if n in reached and source in self._reached([n])]
        return [*way, source]

    def _is_on_every_way(self, number: int, start: Collection[int], source: int) -> bool:
        return source not in self._reached(start, without=number)

    def _behind_first_sums(self) -> dict[int, bool]:
        """The tensors that the first sums over units of different kinds read, and whether a
        decision is spread over their places: there is no place in a vector of decisions, while of
        a map of them a single unit is asked about."""
        output = self._graph.output
        found: dict[int, bool] = {}
        open_ = {output: not has_places(self._shapes[output])}
        for _, _, number in self._back():
            if number not in open_:
                continue
            kind = self._kinds[number]
            if kind is Kind.LOOP:
                found[number] = True
                continue
            into = found if kind in (Kind.MIXED, Kind.PRODUCT) else open_
            for read in self._reads[number]:
                spread = self._spreads(number, read, open_[number])
                into[read] = into.get(read, False) or spread
        found.update((n, spread) for n, spread in open_.items() if n in self._graph.inputs)
        return found

    def _spreads(self, number: int, read: int, was_spread: bool) -> bool:
        """Whether a decision is spread over the places of a tensor that another is made from."""
        above, below, kind = self._shapes[number], self._shapes[read], self._kinds[number]
        if kind in (Kind.PRODUCT, Kind.LOOP):
            return True
        if kind in (Kind.MIXED, Kind.APART):
            return was_spread or above[:-1] != below[:-1]
        if kind is Kind.MOVED:
            # A slice leaves other places behind.
            return was_spread and prod(above) >= prod(below)
        return was_spread

    def _last_map(self, source: int, start: dict[int, bool]) -> int | None:
        spread = {number for number, is_spread in start.items() if is_spread}
        with_places = []
        for number in self._way(start, source):
            if has_places(self._shapes[number]) and self._is_on_every_way(number, start, source):
                if number in spread:
                    return number
                with_places += [number] if number != source else []
            for read in self._reads.get(number, ()):
                if self._spreads(number, read, number in spread):
                    spread.add(read)
        return with_places[0] if with_places else None

    def _fine_layer(self, source: int, start: int) -> int | None:
        size = self._shapes[source][:-1]
        if not has_places(self._shapes[source]):
            return None
        way = self._way([start], source)
        maps = [
            n for n in way if len(self._shapes[n]) == len(size) + 1 and has_places(self._shapes[n])
        ]
        coarsest = min(maps, key=lambda n: prod(self._shapes[n][:-1]))
        below = way[way.index(coarsest) :]
        below = [n for n in below if self._is_on_every_way(n, [start], source)]
        while below[0] not in maps or not self._is_fine(below[0], size):
            below.pop(0)
        fine = below.pop(0)
        above = [fine]
        for number in below[:-1]:
            units, fewest = prod(self._shapes[number]), prod(self._shapes[fine])
            is_next = self._reads.get(fine) == [number]
            if number not in maps or units > fewest or (units == fewest and not is_next):
                break
            above.append(number)
            fine = number
        # An activation leaves each unit where it is.
        for number in reversed(above[:-1]):
            call = self._graph.maker(number)
            if call is None or rule_for(call) is not moving.unchanged:
                break
            if fine not in self._reads[number]:
                break
            fine = number
        return fine

    def _is_fine(self, number: int, size: Shape) -> bool:
        pairs = zip(self._shapes[number][:-1], size, strict=True)
        return all(16 * cells >= n and cells >= min(8, n) for cells, n in pairs)
