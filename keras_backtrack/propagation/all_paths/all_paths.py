"""All paths: the spreading as TensorFlow functions, one for each set of tensors it starts from."""

import math
from collections.abc import Collection, Sequence

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph
from ...rules import Rules
from ..kernels import NodeArrays
from ..nodes import Nodes, Walked
from ..over_activations import OverActivations, may_be_read
from ..paths import Batch
from .maps import Places, as_maps, left_over
from .native import NativeSpread
from .spreading import spread_back

_NODES = Nodes(*(tf.TensorSpec([None], dtype) for dtype in (tf.int64, tf.float32, tf.float32)))


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
        self._settings = sorted(wanted), sorted(until), is_signed
        self._numbers = may_be_read(graph)
        self._natives: dict[tuple[int, ...], NativeSpread] = {}
        self._spreads: dict[tuple[int, ...], OverActivations] = {}

    def reads(self, start: tuple[int, ...]) -> list[int]:
        if not start:
            return []
        native = self._native(start)
        return native.reads if native.is_whole else self._spread(start).reads

    def constants(self) -> list[np.ndarray]:
        return []

    def back(self, batch: Batch, start: dict[int, NodeArrays]) -> Walked:
        native = self._native(tuple(start))
        if native.is_whole:
            return self._in_machine_code(native, batch, start)
        spread = self._spread(tuple(start))
        tensors = _a_row_each(batch, spread.reads)
        roots = [Nodes(*map(tf.constant, nodes)) for nodes in start.values()]
        walked = spread(tensors, tf.constant(len(batch.image_index), tf.int64), roots)
        found = {n: NodeArrays(*(f.numpy() for f in held)) for n, held in walked.nodes.items()}
        ended = {number: mass.numpy() for number, mass in walked.ended.items()}
        return Walked(found, walked.lost.numpy(), ended)

    def _in_machine_code(
        self, native: NativeSpread, batch: Batch, start: dict[int, NodeArrays]
    ) -> Walked:
        """As `spread_back`."""
        (wanted, until, is_signed), count = self._settings, len(batch.image_index)
        sizes, first = batch.sizes, self._graph.channels_first
        roots = {n: as_maps(own, count, math.prod(sizes[n])) for n, own in start.items()}
        held, ended = native.back(batch, roots)
        lost, ends = sum(ended.values(), np.zeros(count)), {*until, *self._graph.inputs}
        held = {n: maps for n, maps in held.items() if n in {*wanted, *ends}}
        if is_signed:
            held = {n: left_over(m, Places.of(sizes[n], n in first)) for n, m in held.items()}
            # What ended, and what was outweighed; NaN stays.
            arrived = sum((m.mass for n, m in held.items() if n in ends), np.zeros(count))
            lost, ended = np.where(np.isfinite(lost), 1 - arrived, lost), {}
        return Walked({n: maps.nodes for n, maps in held.items()}, lost, ended)

    def _native(self, start: tuple[int, ...]) -> NativeSpread:
        if start not in self._natives:
            wanted, until, _ = self._settings
            self._natives[start] = NativeSpread(self._graph, self._rules, start, until, wanted)
        return self._natives[start]

    def _spread(self, start: tuple[int, ...]) -> OverActivations:
        if start not in self._spreads:

            def spread(tensors: dict, explanations: tf.Tensor, roots: list[Nodes]):
                found = dict(zip(start, roots, strict=True))
                return spread_back(
                    self._graph, tensors, explanations, found, self._rules, *self._settings
                )

            more = tf.TensorSpec([], tf.int64), [_NODES] * len(start)
            self._spreads[start] = OverActivations(spread, self._graph, self._numbers, *more)
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
