"""All paths: in machine code where that can be, else as TensorFlow functions."""

import math
from collections.abc import Collection, Sequence

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph
from ...rules import Rules
from ..kernels import NodeArrays
from ..native import reached_from
from ..nodes import Walked
from ..over_activations import OverActivations, may_be_read
from ..paths import Batch
from .dense_mass import Maps as DenseMaps
from .maps import Maps, Places, as_maps, left_over
from .native import NativeSpread
from .spreading import spread_back

_MAPS = DenseMaps(*(tf.TensorSpec([None, None], tf.float32),) * 2)


class AllPaths:
    """Spreads decisions over all paths.

    Args:
        graph: The model's calls.
        rules: Which rule serves which of them.
        wanted: Numbers of the tensors whose nodes are brought back: every unit is a node here.
        until, is_signed: As for `spread_back`.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Rules,
        wanted: Collection[int] = (),
        until: Collection[int] = (),
        is_signed: bool = False,
    ) -> None:
        self._graph, self._rules = graph, rules
        self._wanted, self._until, self._is_signed = sorted(wanted), sorted(until), is_signed
        self._numbers = may_be_read(graph)
        self._natives: dict[tuple[int, ...], NativeSpread] = {}
        self._spreads: dict[tuple[int, ...], OverActivations] = {}

    def reads(self, start: tuple[int, ...]) -> list[int]:
        if not start:
            return []
        native = self._native(start)
        return native.reads if native.serves else self._spread(start).reads

    def ends(self, start: tuple[int, ...]) -> list[int]:
        """Numbers of the tensors where ways from some tensors end."""
        ends = {*self._until, *self._graph.inputs}
        return sorted(ends & reached_from(self._graph, start, self._until))

    def constants(self) -> list[np.ndarray]:
        return []  # Ways in machine code have their own.

    def back(self, batch: Batch, start: dict[int, NodeArrays]) -> Walked:
        count, sizes, first = len(batch.image_index), batch.sizes, self._graph.channels_first
        roots = {n: as_maps(own, count, math.prod(sizes[n])) for n, own in start.items()}
        held, lost, ended = self.spread(batch, roots)
        if self._is_signed:
            held = {n: left_over(m, Places.of(sizes[n], n in first)) for n, m in held.items()}
            # What ended, and what was outweighed; NaN stays.
            ends = {*self._until, *self._graph.inputs}
            arrived = sum((m.mass for n, m in held.items() if n in ends), np.zeros(count))
            lost, ended = np.where(np.isfinite(lost), 1 - arrived, lost), {}
        return Walked({n: maps.nodes for n, maps in held.items()}, lost, ended)

    def spread(
        self, batch: Batch, roots: dict[int, Maps]
    ) -> tuple[dict[int, Maps], np.ndarray, dict[int, np.ndarray]]:
        """Spreads maps.

        Args:
            batch: The run of the network.
            roots: The mass at first, by tensor number.

        Returns:
            The mass of the tensors that is wanted or where ways end, by number; the (E,) mass that
            was lost; and by number that which ended there.
        """
        native, count = self._native(tuple(roots)), len(batch.image_index)
        if not native.serves:
            return self._in_tensorflow(batch, roots)
        held, ended = native.back(batch, roots)
        brought = {*self._wanted, *self._until, *self._graph.inputs}
        held = {n: maps for n, maps in held.items() if n in brought}
        return held, sum(ended.values(), np.zeros(count)), ended

    def _in_tensorflow(
        self, batch: Batch, roots: dict[int, Maps]
    ) -> tuple[dict[int, Maps], np.ndarray, dict[int, np.ndarray]]:
        spread = self._spread(tuple(roots))
        tensors = _a_row_each(batch, spread.reads)
        held, lost, ended = spread(
            tensors, [DenseMaps(*map(tf.constant, m)) for m in roots.values()]
        )
        maps = {n: Maps(*(mass.numpy() for mass in own)) for n, own in held.items()}
        return maps, lost.numpy(), {number: mass.numpy() for number, mass in ended.items()}

    def _native(self, start: tuple[int, ...]) -> NativeSpread:
        if start not in self._natives:
            own = self._graph, self._rules, start, self._until, self._wanted
            self._natives[start] = NativeSpread(*own)
        return self._natives[start]

    def _spread(self, start: tuple[int, ...]) -> OverActivations:
        if start not in self._spreads:

            def spread(tensors: dict, roots: list[DenseMaps]):
                found = dict(zip(start, roots, strict=True))
                own = self._wanted, self._until, self._is_signed
                return spread_back(self._graph, tensors, found, self._rules, *own)

            self._spreads[start] = OverActivations(
                spread, self._graph, self._numbers, [_MAPS] * len(start)
            )
        return self._spreads[start]


def _a_row_each(batch: Batch, numbers: Sequence[int]) -> dict[int, tf.Tensor]:
    """From tensors of a batch to tensors with a row for each explanation."""
    tensors = {number: batch.tensors[number] for number in numbers}
    if np.array_equal(batch.image_index, np.arange(batch.images)):
        return tensors
    # What has no row for each image, such as a causal mask, stays as it is.
    return {
        number: tf.gather(tensor, batch.image_tensor)
        if tensor.shape.rank and tensor.shape[0] == batch.images
        else tensor
        for number, tensor in tensors.items()
    }
