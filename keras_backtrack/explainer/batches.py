"""A model's input, batch after batch."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from ..graph.graph import in_dtype
from .settings import check_limit


class Batches:
    """The batches that an input goes through the network in, each in the model's dtypes.

    What is on disk (`np.memmap`) is read a batch at a time, whenever it is asked for.

    Args:
        x: The whole of each of the model's inputs.
        specs: Shape and dtype of each, batch axis first.
        size: How many images a batch has, the last one perhaps fewer; None for all.

    Attributes:
        x: As given.
        images: How many there are.
        bounds: For each batch its first image and the one behind its last.

    Raises:
        ValueError: If the size is no int of at least 1.
    """

    def __init__(self, x: Sequence[np.ndarray], specs: Sequence[Any], size: int | None) -> None:
        self.x = x
        self.images = len(x[0])
        step = check_limit("batch_size", size) or self.images
        self.bounds = list(pairwise([*range(0, self.images, step), self.images]))
        self._dtypes = [spec.dtype.name for spec in specs]

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        return (self._rows(start, stop) for start, stop in self.bounds)

    def first_image(self) -> list[tf.Tensor]:
        """The first row of each input, as a batch of one."""
        return [tf.convert_to_tensor(values) for values in self._rows(0, 1)]

    def _rows(self, start: int, stop: int) -> list[np.ndarray]:
        pairs = zip(self.x, self._dtypes, strict=True)
        return [in_dtype(values[start:stop], dtype) for values, dtype in pairs]
