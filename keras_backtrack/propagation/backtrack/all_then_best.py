"""The two ways back, one behind the other: they meet at the fine layers.

Above, maps are small, and all paths cost little and show whole objects. Below, there are few nodes,
and the best paths cost little and lead to single pixels.
"""

from collections.abc import Collection

import numpy as np

from ...graph.graph import Graph
from ...rules import Rules
from ..all_paths.all_paths import AllPaths
from ..best_paths.best_paths import BestPaths
from ..kernels import NodeArrays, merge
from ..limits import Limits
from ..nodes import Walked
from ..paths import Batch


class AllThenBest:
    """Spreads decisions over all paths down to some layers, then walks their heaviest nodes on.

    Args:
        graph: The model's calls.
        rules: Which rule serves which of them.
        limits: How many contributions the walk follows.
        meet: Numbers of the tensors where the one becomes the other.
        wanted: Numbers of tensors above whose nodes are brought back.
        is_signed: As for `AllPaths`.

    Attributes:
        best: The walk below.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Rules,
        limits: Limits,
        meet: Collection[int],
        wanted: Collection[int],
        is_signed: bool,
    ) -> None:
        self._meet = frozenset(meet)
        self._all = AllPaths(graph, rules, wanted, meet, is_signed)
        self.best = BestPaths(graph, rules, limits, self._meet)

    def reads(self, start: tuple[int, ...]) -> list[int]:
        return sorted({*self._all.reads(start), *self.best.reads(tuple(self._meet))})

    def constants(self) -> list[np.ndarray]:
        return self.best.constants()

    def back(self, batch: Batch, start: dict[int, NodeArrays]) -> Walked:
        spread = self._all.back(batch, start)
        met = {n: nodes for n, nodes in spread.nodes.items() if n in self._meet}
        walked = self.best.back(batch, met)
        nodes = {**walked.nodes, **met}
        for number, own in spread.nodes.items():
            if number not in met:
                nodes[number] = merge([own, nodes[number]]) if number in nodes else own
        return Walked(nodes, spread.lost + walked.lost, {**spread.ended, **walked.ended})
