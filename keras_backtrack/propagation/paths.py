"""What the two ways back, along the best paths and along all, have in common."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import tensorflow as tf

from ..graph.graph import Call, rows_of
from .kernels import NodeArrays
from .nodes import Walked


@dataclass(frozen=True)
class Batch:
    """One run of the network and whom its explanations are about.

    Attributes:
        arrays: Activations by tensor number, float32.
        tensors: The same as they are.
        sizes: By tensor number, the sizes of its axes after the batch axis.
        images: How many rows the batch has.
        image_index: (E,) int64, which of them each explanation is about.
        constants: What steps read besides, as from `Paths.constants`.
    """

    arrays: dict[int, np.ndarray]
    tensors: dict[int, tf.Tensor]
    sizes: dict[int, tuple[int, ...]]
    images: int
    image_index: np.ndarray
    constants: list[np.ndarray] = field(default_factory=list)

    @cached_property
    def image_tensor(self) -> tf.Tensor:
        """`image_index` as a tensor."""
        return tf.constant(self.image_index, tf.int64)

    @property
    def twice(self) -> "Batch":
        """The same for each explanation two times, all once and then all again."""
        return replace(self, image_index=np.concatenate([self.image_index, self.image_index]))

    def apart(self, call: Call) -> "Batch":
        """The batch as a folded call has it: rows of images are images, and explained alone.

        Indices of nodes stay what they are. `tensors` stay those of the graph.
        """
        if not call.folded:
            return self
        image_index = np.repeat(self.image_index * call.rows, call.rows)
        image_index += np.tile(np.arange(call.rows), len(self.image_index))
        return replace(
            self,
            arrays=_Apart(self.arrays, call),
            sizes={**self.sizes, **{n: self.sizes[n][1:] for n in call.folded}},
            images=self.images * call.rows,
            image_index=image_index,
        )


class _Apart(dict[int, np.ndarray]):
    """Activations as a folded call reads them, each made when it is first asked for."""

    def __init__(self, arrays: dict[int, np.ndarray], call: Call) -> None:
        self._arrays, self._call = arrays, call

    def __missing__(self, number: int) -> np.ndarray:
        array = self._arrays[number]
        self[number] = array = rows_of(array) if number in self._call.folded else array
        return array


class Paths(Protocol):
    """A way back: which paths are followed."""

    def reads(self, start: tuple[int, ...]) -> list[int]:
        """Numbers of the tensors whose activations are read, from nodes at some tensors on."""

    def constants(self) -> list[np.ndarray]:
        """What steps read besides activations, as the model's weights are now."""

    def back(self, batch: Batch, start: dict[int, NodeArrays]) -> Walked:
        """Goes back from nodes at some tensors to the inputs."""
