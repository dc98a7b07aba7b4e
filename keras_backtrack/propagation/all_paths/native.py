"""All paths in machine code, where every step on the way can be taken there."""

import math
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.graph import Call, Graph
from ...graph.layout import places_first
from ...rules import Rules
from ...rules.contributions import Contributions, Same
from ...rules.traced_call import TracedCall
from ..backward import Place, Taken, walk_back
from ..kernels import parallel
from ..native import Kept, Native, places_in, reached_from, traced_empty
from ..paths import Batch
from .lowering import lowered, turned
from .maps import Maps, added

_MOST_PLACES = 64 * 64  # of a map


class _Step(NamedTuple):
    """One step, with the place of its constants among those of all."""

    call: Call
    position: int
    traced: TracedCall
    native: Native
    own: slice


class NativeSpread:
    """Spreads maps of some tensors to others.

    Args:
        graph: The calls.
        rules: Which rule serves which of them.
        start: Numbers of the tensors where mass is at first.
        until: Numbers of the tensors that it is not spread on from.
        wanted: Numbers of the tensors whose mass is wanted.

    Attributes:
        serves: Whether there is machine code for every step, and maps are so small that it pays: of
            large ones TensorFlow makes convolutions faster. If not, nothing can be spread.
        reads: Numbers of the tensors whose activations are read.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Rules,
        start: Collection[int],
        until: Collection[int],
        wanted: Collection[int],
    ) -> None:
        self._graph, self._until = graph, frozenset(until)
        self._steps: list[_Step | Place] = []
        open_ = reached_from(graph, start, until)
        places = places_in(graph, open_)

        def trace() -> list[tf.Tensor]:
            constants: list[tf.Tensor] = []
            asked = _asked(graph, places, rules, self._until, {*start, *wanted})
            for place in [] if asked is None else places:
                if place.call.outputs[place.position] in self._until:
                    self._steps.append(place)
                    continue
                assert asked is not None
                traced, kind = asked[place.call.outputs[place.position]]
                native = lowered(kind, traced)
                assert native is not None
                own = slice(len(constants), len(constants) + len(native.constants))
                self._steps.append(_Step(*place, traced, native, own))
                constants.extend(native.constants)
            return constants

        are_small = all(_count_places(graph, number) <= _MOST_PLACES for number in open_)
        self._kept = Kept(trace if are_small else list, rules.packed_weights)
        self.serves = are_small and len(self._steps) == len(places)
        taken = [step for step in self._steps if isinstance(step, _Step)]
        self.reads = sorted({n for step in taken for n in step.native.reads})

    def back(
        self, batch: Batch, roots: dict[int, Maps]
    ) -> tuple[dict[int, Maps], dict[int, np.ndarray]]:
        """Spreads mass; returns what `walk_back` does."""
        constants = self._kept.arrays

        def take(step: _Step | Place, maps: Maps) -> Taken:
            assert isinstance(step, _Step)
            call = step.call
            own = constants[step.own]
            taken = step.native.take(maps.in_rows(call.rows), batch.apart(call), own)
            taken = taken.into(step.traced, lambda part, _: part.mass).of_images(call.rows)
            parts = [part and part.of_images(call.rows) for part in taken.parts]
            return taken._replace(parts=parts)

        def join(number: int, parts: list[Maps], is_settled: bool) -> Maps:
            return added(parts)

        with parallel.own_threads:
            return walk_back(self._graph, self._steps, roots, take, join, self._until)


def _count_places(graph: Graph, number: int) -> int:
    """How many places a map has, as far as that is known before the network runs."""
    shape = tuple(graph.specs[number].shape[1:])
    return math.prod(size or 1 for size in places_first(shape, number in graph.channels_first)[:-1])


def _asked(
    graph: Graph,
    places: list[Place],
    rules: Rules,
    until: Collection[int],
    apart: Collection[int],
) -> dict[int, tuple[TracedCall, Contributions]] | None:
    """What rules say of places, by number of their tensor; None where one has no machine code.

    Where sides change in what alone reads a sum, as in a normalisation with factors below 0, they
    change in the sum instead, but for tensors whose mass is wanted as it is.
    """
    found: dict[int, tuple[TracedCall, Contributions]] = {}
    readers: Counter[int] = Counter(apart)
    for place in places:
        number = place.call.outputs[place.position]
        if number in until:
            continue
        traced = traced_empty(graph, place, rules)
        found[number] = traced, rules.ask(traced)
        if lowered(found[number][1], traced) is None:
            return None
        readers.update(place.call.inputs)
    for number, (traced, kind) in list(found.items()):
        if not isinstance(kind, Same) or kind.flips is None:
            continue
        below = traced.call.inputs[traced.followed.index(True)]
        own, sums = found.get(below, (traced, kind))
        changed = turned(sums, kind.flips)
        if readers[below] == 1 and changed is not None and traced.rows == own.rows == 1:
            found[number], found[below] = (traced, Same()), (own, changed)
    return found
