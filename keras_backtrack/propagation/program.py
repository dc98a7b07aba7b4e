"""What a program takes and brings back, and what all programs do."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ..graph.graph import Graph
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
        sizes: Those that vary, as from `Sizes.trace`.
    """

    tensors: dict[int, tf.Tensor]
    sizes: dict[int, tf.Tensor]

    @property
    def nbytes(self) -> int:
        """How much memory the activations take."""
        return sum(t.dtype.size * t.shape.num_elements() for t in self.tensors.values())


def replay(graph: Graph, inputs: Sequence[tf.Tensor]) -> dict[int, tf.Tensor]:
    """All activations, in a program that is being traced."""
    with unasked_masks():
        return graph.replay(inputs)


@contextmanager
def unasked_masks() -> Iterator[None]:
    """Keeps Keras from warning of layers opened up: their own see masks they do not ask for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*was passed an input with a mask.*")
        yield


class Sizes:
    """The sizes of a graph's tensors in one run.

    Args:
        graph: The calls.
    """

    def __init__(self, graph: Graph) -> None:
        shapes = {number: graph.specs[number].shape[1:] for number in graph.names}
        self._fixed = {n: tuple(s) for n, s in shapes.items() if s.is_fully_defined()}
        self._varying = [n for n in shapes if n not in self._fixed]

    def trace(self, tensors: dict[int, tf.Tensor]) -> dict[int, tf.Tensor]:
        """What a program that is being traced has to bring back: the sizes that vary.

        No others: TensorFlow fuses no layers whose sizes are asked for in between.
        """
        return {number: tf.shape(tensors[number])[1:] for number in self._varying}

    def read(self, varying: dict[int, tf.Tensor]) -> dict[int, tuple[int, ...]]:
        """From what `trace` brought back, the sizes of axes after the batch axis, by number."""
        sizes = {n: tuple(map(int, size.numpy())) for n, size in varying.items()}
        return {**self._fixed, **sizes}
