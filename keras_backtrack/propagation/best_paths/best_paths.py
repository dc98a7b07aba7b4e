"""The walk along the best paths, in machine code."""

import math
from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np

from ...graph.graph import Graph
from ...rules import Rules
from ..backward import Taken, walk_back
from ..kernels import NodeArrays, heaviest, merge, ordered
from ..limits import Limits
from ..nodes import Walked
from ..paths import Batch
from .schedule import Schedule, Step

_HEAVIEST = 100  # nodes of a decision that are walked on where a way over all paths ends


class BestPaths:
    """Walks decisions along the best paths.

    Args:
        graph: The model's calls.
        rules: Which rule serves which of them.
        limits: How many contributions the walk follows.
        begins: Numbers of the tensors where a way over all paths ends and walks begin: of the nodes
            there the heaviest are followed. None where all nodes are that walks are given.
    """

    def __init__(
        self, graph: Graph, rules: Rules, limits: Limits, begins: Collection[int] | None = None
    ) -> None:
        self._graph, self._rules, self._limits = graph, rules, limits
        self.begins = frozenset(begins or ())

    @cached_property
    def _schedule(self) -> Schedule:
        start = self.begins or self._graph.outputs
        return Schedule(self._graph, self._rules, self._limits, self._through_cell, start)

    def _through_cell(self, cell: Graph) -> "BestPaths":
        return BestPaths(cell, self._rules, self._limits)

    @property
    def steps(self) -> list[Step]:
        """The steps of a walk, that of the last call first."""
        return self._schedule.steps

    def reads(self, start: tuple[int, ...]) -> list[int]:
        return self._schedule.reads

    def constants(self) -> list[np.ndarray]:
        return self._schedule.constants

    def back(self, batch: Batch, start: dict[int, NodeArrays]) -> Walked:
        def take(step: Step, nodes: NodeArrays) -> Taken:
            return step.take(nodes, batch)

        begun = {
            number: ordered(self.followed(number, nodes, batch.sizes[number]))
            for number, nodes in start.items()
        }

        def join(number: int, parts: list[NodeArrays], is_settled: bool) -> NodeArrays:
            nodes = parts[0] if is_settled else merge(parts)
            count = math.prod(batch.sizes[number]) * len(batch.image_index)
            # In ascending order; kernels read what nodes say, and trust them.
            if len(nodes.index) and not 0 <= nodes.index[0] <= nodes.index[-1] < count:
                raise RuntimeError(
                    "A rule must lead to units that its call's inputs have. Received: unit "
                    f"{nodes.index[0]} or {nodes.index[-1]} of {count} in "
                    f"{self._graph.names[number]!r}."
                )
            return nodes

        held, ended = walk_back(self._graph, self.steps, begun, take, join)
        lost = sum(ended.values(), np.zeros(len(batch.image_index)))
        return Walked(held, lost, ended)

    def followed(self, number: int, nodes: NodeArrays, size: Sequence[int]) -> NodeArrays:
        """Of the nodes at a tensor those that a walk begins with.

        Args:
            number: Of the tensor.
            nodes: Nodes there.
            size: Sizes of its axes after the batch axis.
        """
        return heaviest(nodes, math.prod(size), _HEAVIEST) if number in self.begins else nodes
