"""What a program takes and brings back, and what all programs do."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from .errors import UnsupportedModelError
from .graph import Graph
from .nodes import Nodes


class Run(NamedTuple):
    """What one batch's run brings back, as NumPy arrays.

    Attributes:
        targets: (E,) int64, the explained unit of the output, -1 where there are several.
        versus: (E,) int64, the unit it is told from, -1 where there is none.
        scores: (E,) float32, its value, or the mean of their values.
        logits: (E, 2) float32, the values of both units behind the output's activation; NaN where
            there is none to tell from.
        lost: (E,) float32, mass of the paths that ended before the input.
        nodes: By tensor number, the nodes held there; absent where there were none.
        sizes: By tensor number, the sizes of its axes after the batch axis.
        activations: By tensor number, its activation; empty unless asked for.
    """

    targets: np.ndarray
    versus: np.ndarray
    scores: np.ndarray
    logits: np.ndarray
    lost: np.ndarray
    nodes: dict[int, Nodes]
    sizes: dict[int, tuple[int, ...]]
    activations: dict[int, np.ndarray]


class Roots(NamedTuple):
    """The units of the output that explanations start from, with equal shares of the mass.

    In ascending order of explanation and unit.

    Attributes:
        explanation: (R,) int64, whose root it is.
        unit: (R,) int64, its row-major place; -1 for the unit with the largest value, -2 for the
            next, and so on.
        versus: (R,) int64, the unit whose difference from it is explained, -1 as above, where each
            explanation has one root; None where units are explained alone.
    """

    explanation: np.ndarray
    unit: np.ndarray
    versus: np.ndarray | None = None


class Kept(NamedTuple):
    """What the walk needs of a run of the network.

    Attributes:
        tensors: The activations it reads, by tensor number.
        sizes: As from `Sizes.trace`.
    """

    tensors: dict[int, tf.Tensor]
    sizes: tuple[tf.Tensor, dict[int, tf.Tensor]]

    @property
    def nbytes(self) -> int:
        """How much memory the activations take."""
        return sum(t.dtype.size * t.shape.num_elements() for t in self.tensors.values())


def replay(graph: Graph, inputs: Sequence[tf.Tensor]) -> dict[int, tf.Tensor]:
    """All activations, in a program that is being traced."""
    with warnings.catch_warnings():
        # Of layers opened up, whose own layers see masks that they do not ask for.
        warnings.filterwarnings("ignore", message=".*was passed an input with a mask.*")
        return graph.replay(inputs)


class Sizes:
    """The sizes of a graph's tensors in one run.

    Args:
        graph: The calls.
        reached: Numbers of the tensors that decisions can come through, the first input first.
    """

    def __init__(self, graph: Graph, reached: Sequence[int]) -> None:
        self._graph, self._reached = graph, reached
        shapes = {number: graph.specs[number].shape[1:] for number in graph.names}
        self._fixed = {n: tuple(s) for n, s in shapes.items() if s.is_fully_defined()}
        self._varying = [n for n in shapes if n not in self._fixed]

    def trace(self, tensors: dict[int, tf.Tensor]) -> tuple[tf.Tensor, dict[int, tf.Tensor]]:
        """What a program that is being traced has to bring back."""
        rows = tf.stack([tf.shape(tensors[number])[0] for number in self._reached])
        return rows, {number: tf.shape(tensors[number])[1:] for number in self._varying}

    def read(self, rows: tf.Tensor, varying: dict[int, tf.Tensor]) -> dict[int, tuple[int, ...]]:
        """From what `trace` brought back, the sizes of axes after the batch axis, by number.

        Raises:
            UnsupportedModelError: If a tensor does not have one row for each image.
        """
        sizes = {n: tuple(map(int, size.numpy())) for n, size in varying.items()}
        sizes = {**self._fixed, **sizes}
        images, *counts = rows.numpy().tolist()
        for number, count in zip(self._reached[1:], counts, strict=True):
            if count != images:
                raise UnsupportedModelError(
                    f"{self._graph.names[number]!r} must have one row for each image of the batch: "
                    "a model that mixes images cannot be explained. Received: shape "
                    f"{(count, *sizes[number])} for a batch of {images}."
                )
        return sizes
