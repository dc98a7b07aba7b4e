"""The walk along the best paths, in machine code."""

from functools import cached_property

import numpy as np

from ...graph.graph import Graph
from ...rules import Rules
from ..backward import Taken, walk_back
from ..kernels import NodeArrays, merge, ordered
from ..limits import Limits
from ..nodes import Walked
from ..paths import Batch
from .schedule import Schedule, Step


class BestPaths:
    """Walks decisions along the best paths.

    Args:
        graph: The model's calls.
        rules: Which rule serves which of them.
        limits: How many contributions the walk follows.
    """

    def __init__(self, graph: Graph, rules: Rules, limits: Limits) -> None:
        self._graph, self._rules, self._limits = graph, rules, limits

    @cached_property
    def _schedule(self) -> Schedule:
        return Schedule(self._graph, self._rules, self._limits, self._through_cell)

    def _through_cell(self, cell: Graph) -> "BestPaths":
        return BestPaths(cell, self._rules, self._limits)

    @property
    def steps(self) -> list[Step]:
        """The steps of a walk, that of the last call first."""
        return self._schedule.steps

    def reads(self, start: tuple[int, ...]) -> list[int]:
        return self._schedule.reads

    def constants(self) -> list[np.ndarray]:
        return self._schedule.constants()

    def back(self, batch: Batch, start: dict[int, NodeArrays]) -> Walked:
        def take(step: Step, nodes: NodeArrays) -> Taken:
            return step.take(nodes, batch)

        begun = {number: ordered(nodes) for number, nodes in start.items()}
        held, ended = walk_back(self._graph, self.steps, begun, take, _merged)
        return Walked(held, sum(ended, np.zeros(len(batch.image_index))))


def _merged(_: int, parts: list[NodeArrays], is_settled: bool) -> NodeArrays:
    return parts[0] if is_settled else merge(parts)
