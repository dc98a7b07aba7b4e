"""The network run once: what is kept of its activations for the way back."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ..graph.graph import Graph, Run


class Activations(NamedTuple):
    """What the way back needs of a run of the network.

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


class Arrays(dict[int, np.ndarray]):
    """Activations as float32 arrays by tensor number, each made when it is first asked for."""

    def __init__(self, tensors: dict[int, tf.Tensor]) -> None:
        self._tensors = tensors

    def __missing__(self, number: int) -> np.ndarray:
        tensor = self._tensors[number]
        if tensor.dtype is not tf.float32:
            tensor = tf.cast(tensor, tf.float32)
        self[number] = array = np.asarray(tensor)
        return array


def replay(
    graph: Graph, inputs: Sequence[tf.Tensor], instead: Mapping[int, Run] = MappingProxyType({})
) -> dict[int, tf.Tensor]:
    """All activations, in a program that is being traced; `instead` as for `Graph.replay`."""
    with unasked_masks():
        return graph.replay(inputs, instead)


@contextmanager
def unasked_masks() -> Iterator[None]:
    """Keeps Keras from warning of recorded layers: their own see masks they do not ask for."""
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
