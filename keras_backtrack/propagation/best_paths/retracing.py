"""Who passed mass to whom: the steps of a walk taken again, each node on its own."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph, in_dtype
from ...rules import Rules
from ..activations import Arrays
from ..kernels import NodeArrays
from ..nodes import Held
from ..paths import Batch
from .best_paths import BestPaths


class Edges(NamedTuple):
    """Contributions that were followed from one tensor into another. Arrays are (L,).

    Attributes:
        above: Number of the tensor they were followed from.
        below: Number of the tensor they lead to.
        parent: int64, which of the nodes held above.
        child: int64, which of the nodes held below; -1 where rounding made the step end elsewhere.
        unit: int64, row-major place of the contributing unit below.
        mass: float32, what the parent passed to it.
    """

    above: int
    below: int
    parent: np.ndarray
    child: np.ndarray
    unit: np.ndarray
    mass: np.ndarray


class Tracks:
    """Takes the steps of walks again, to tell which node passed mass to which.

    The walk merges nodes that coincide and forgets where they came from. A step is the same for
    each node alone, so it is taken here with each node as an explanation of its own: the number of
    the explanation then says whose child a node is. The walk pays nothing for it.

    Args:
        graph: The model's calls.
        rules: Which rule serves which of them.
        paths: The walk; None where all paths were followed at once, of which there are no single
            steps.
    """

    def __init__(self, graph: Graph, rules: Rules, paths: BestPaths | None) -> None:
        self.rules, self.paths = rules, paths
        self._graph = graph

    def activations(self, inputs: Sequence[np.ndarray]) -> dict[int, tf.Tensor]:
        """Runs the network: every tensor's activation by number.

        Args:
            inputs: One row of each of the model's inputs, batch axis first.
        """
        self.rules.packed_weights.refresh()
        dtypes = [self._graph.specs[number].dtype.name for number in self._graph.inputs]
        pairs = zip(inputs, dtypes, strict=True)
        tensors = [tf.convert_to_tensor(in_dtype(values, dtype)) for values, dtype in pairs]
        return self._graph.replay(tensors)

    def edges(self, tensors: dict[int, tf.Tensor], held: dict[int, Held]) -> Iterator[Edges]:
        """The steps of one explanation, from the output down.

        Args:
            tensors: What `activations` returned for its image.
            held: The nodes it held, by tensor number.
        """
        if self.paths is None:
            return
        sizes = {number: tuple(tensor.shape[1:]) for number, tensor in tensors.items()}
        run = Arrays(tensors), tensors, sizes, 1
        constants = self.paths.constants()
        for step in self.paths.steps:
            above = step.call.outputs[step.position]
            if above not in held or not len(held[above].unit):
                continue
            unit, sign, mass = held[above]
            size = math.prod(sizes[above])
            walked = self.paths.followed(above, NodeArrays(unit, sign, mass), sizes[above])
            # Of the nodes held there perhaps not all are walked on.
            keys = unit * 2 + (sign < 0)
            order = np.argsort(keys)
            who = order[np.searchsorted(keys[order], walked.index * 2 + (walked.sign < 0))]
            own = np.arange(len(who))
            index, signs = own * size + walked.index, walked.sign.astype(np.float32)
            nodes = NodeArrays(index, signs, walked.mass)
            taken = step.take(nodes, Batch(*run, np.zeros_like(own), constants))
            for below, part in zip(step.call.inputs, taken.parts, strict=True):
                if part is not None:
                    yield _edges(above, below, part, who, held, math.prod(sizes[below]))


def _edges(
    above: int, below: int, part: NodeArrays, who: np.ndarray, held: dict[int, Held], size: int
) -> Edges:
    index, sign, mass = part
    parent, unit = np.divmod(index, size)
    parent = who[parent]
    nodes = held.get(below)
    child = np.full(len(unit), -1)
    if nodes is not None and len(nodes.unit):
        keys = nodes.unit * 2 + (nodes.sign < 0)
        order = np.argsort(keys, kind="stable")
        wanted = unit * 2 + (sign < 0)
        place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        child = np.where(keys[order][place] == wanted, order[place], -1)
    return Edges(above, below, parent, child, unit, mass)
