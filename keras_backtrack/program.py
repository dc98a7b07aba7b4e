"""Forward pass and walk as one TensorFlow program."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from .contributions import dims, product
from .graph import Graph
from .layouts import Layouts
from .nodes import Nodes
from .posterior import spread_back
from .step import Limits
from .walk import walk_back


class Run(NamedTuple):
    """What one batch's run brings back, as NumPy arrays.

    Attributes:
        targets: (E,) int64, the explained unit of the output.
        scores: (E,) float32, its value.
        lost: (E,) float32, mass of the paths that ended before the input.
        nodes: By tensor number, the nodes held there; absent where there were none.
        sizes: By tensor number, the sizes of its axes after the batch axis.
        activations: By tensor number, its activation; empty unless asked for.
    """

    targets: np.ndarray
    scores: np.ndarray
    lost: np.ndarray
    nodes: dict[int, Nodes]
    sizes: dict[int, tuple[int, ...]]
    activations: dict[int, np.ndarray]


class Program:
    """Runs the network once on a batch and walks each asked decision back to the input.

    One trace serves every batch size and every number of explanations and nodes.

    Args:
        graph: The model's calls.
        limits: How many contributions the walk follows; None to follow all paths at once.
        wanted: Numbers of the tensors whose nodes are brought back. By default all of a walk's;
            of all paths, for which every unit is a node, the input's and the last map's.
        keep_activations: Whether runs bring all activations back too, for checking.
    """

    def __init__(
        self,
        graph: Graph,
        limits: Limits | None,
        wanted: Sequence[int] | None = None,
        keep_activations: bool = False,
    ) -> None:
        self.graph = graph
        self._limits = limits
        self._wanted = wanted
        self._layouts = Layouts()
        self._keep_activations = keep_activations
        images = tf.TensorSpec([None, *graph.input_shape], graph.input_dtype)
        vector = tf.TensorSpec([None], tf.int64)
        # AutoGraph would rewrite every function the trace goes through, which takes seconds.
        self._function = tf.function(
            self._trace, input_signature=[images, vector, vector], autograph=False
        )

    @property
    def traces(self) -> int:
        """How often TensorFlow has traced the program: 1 after the first run, and for good."""
        return self._function.experimental_get_tracing_count()

    def __call__(self, images: tf.Tensor, owner: np.ndarray, targets: np.ndarray) -> Run:
        """Explains one batch.

        Args:
            images: The batch.
            owner: (E,) which image each explanation is about.
            targets: (E,) which unit of the output it explains; -1 for the largest.
        """
        self._layouts.refresh()
        result = self._function(
            images, tf.constant(owner, tf.int64), tf.constant(targets, tf.int64)
        )
        return Run(**_to_numpy(result))

    def _trace(self, images: tf.Tensor, owner: tf.Tensor, targets: tf.Tensor) -> dict:
        tensors = self.graph.replay(images)
        output = tf.cast(tensors[self.graph.output], tf.float32)
        output = tf.reshape(output, [-1, product(dims(output))])
        predicted = tf.cast(tf.math.top_k(output, 1).indices[:, 0], tf.int64)
        targets = tf.where(targets < 0, tf.gather(predicted, owner), targets)
        wanted = self._brought(tensors)
        if self._limits is None:
            found = spread_back(self.graph, tensors, owner, targets, self._layouts, wanted)
        else:
            found = walk_back(self.graph, tensors, owner, targets, self._limits, self._layouts)
        return {
            "targets": targets,
            "scores": tf.gather_nd(output, tf.stack([owner, targets], axis=1)),
            "lost": found.lost,
            "nodes": {n: nodes for n, nodes in found.nodes.items() if n in wanted},
            "sizes": {number: tf.shape(tensors[number])[1:] for number in self.graph.names},
            "activations": dict(tensors) if self._keep_activations else {},
        }

    def _brought(self, tensors: dict[int, tf.Tensor]) -> list[int]:
        """Numbers of the tensors whose nodes are brought back."""
        if self._wanted is None and self._limits is not None:
            return list(self.graph.names)
        maps = [
            number
            for number in self.graph.names
            if len(dims(tensors[number])) == 3 and tensors[number].shape[1:3] != [1, 1]
        ]
        return [*self.graph.inputs, *maps[-1:], *(self._wanted or ())]


def _to_numpy(result: dict) -> dict:
    arrays = tf.nest.map_structure(lambda tensor: tensor.numpy(), result)
    arrays["sizes"] = {n: tuple(map(int, sizes)) for n, sizes in arrays["sizes"].items()}
    return arrays
