"""Who passed mass to whom: the steps of a walk taken again, each node on its own."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph, in_dtype
from ...rules import Rules
from ..backward import places_back
from ..limits import Limits
from ..nodes import Asked, Held, Nodes
from .interpreter import Interpreter


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
    the explanation then says whose child a node is. Nothing is traced, and the walk pays nothing.

    Args:
        graph: The model's calls.
        rules: Which rule serves which of them.
        limits: How many contributions the walk followed; None where it followed all paths at once,
            of which there are no single steps.
    """

    def __init__(self, graph: Graph, rules: Rules, limits: Limits | None) -> None:
        self.rules, self.limits = rules, limits
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
        if self.limits is None:
            return
        for call, position in places_back(self._graph.calls):
            above = call.outputs[position]
            if above not in held or not len(held[above].unit):
                continue
            parts = self._step(call, position, tensors, held[above])
            for below, part in zip(call.inputs, parts, strict=True):
                if part is not None:
                    yield _edges(above, below, part, held, int(np.prod(tensors[below].shape)))

    def _step(self, call, position, tensors, nodes: Held) -> list[Nodes | None]:
        own = tf.range(len(nodes.unit), dtype=tf.int64)
        size = int(np.prod(tensors[call.outputs[position]].shape))
        index = own * size + tf.constant(nodes.unit, tf.int64)
        sign = tf.constant(nodes.sign, tf.float32)
        start = Nodes(index, sign, tf.constant(nodes.mass, tf.float32))
        image = tf.zeros_like(own)
        walk = Interpreter(tensors, image, self.limits, self.rules)
        taken = walk.step(self._graph, call, position, Asked.about(start))
        return [None if part is None else part.nodes for part in taken.parts]


def _edges(above: int, below: int, part: Nodes, held: dict[int, Held], size: int) -> Edges:
    index, sign, mass = (field.numpy() for field in part)
    parent, unit = np.divmod(index, size)
    nodes = held.get(below)
    child = np.full(len(unit), -1)
    if nodes is not None and len(nodes.unit):
        keys = nodes.unit * 2 + (nodes.sign < 0)
        order = np.argsort(keys, kind="stable")
        wanted = unit * 2 + (sign < 0)
        place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        child = np.where(keys[order][place] == wanted, order[place], -1)
    return Edges(above, below, parent, child, unit, mass)
