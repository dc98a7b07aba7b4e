"""A model's input, batch after batch."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import tensorflow as tf

from ..graph.graph import Graph, in_dtype
from ..graph.strings import Given
from .settings import check_limit


class Batches:
    """The batches that an input goes through the network in, each in the model's dtypes.

    What is on disk (`np.memmap`) is read a batch at a time, whenever it is asked for.

    Args:
        given: The whole of each of the model's inputs.
        graph: The model's calls.
        size: How many images a batch has, the last one perhaps fewer; None for all.

    Attributes:
        x: The whole of each of the graph's inputs.
        words: As of `Given`.
        images: How many there are.
        bounds: For each batch its first image and the one behind its last.

    Raises:
        ValueError: If the size is no int of at least 1.
    """

    def __init__(self, given: Given, graph: Graph, size: int | None) -> None:
        self.x, self.words = given.x, given.words
        self._own, self._own_graph = given.own, graph.own
        self.images = len(self.x[0])
        step = check_limit("batch_size", size) or self.images
        self.bounds = list(pairwise([*range(0, self.images, step), self.images]))
        self._dtypes = [graph.specs[number].dtype.name for number in graph.inputs]

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        return (self._rows(start, stop) for start, stop in self.bounds)

    def first_image(self) -> list[tf.Tensor]:
        """The first row of each input, as a batch of one."""
        return [tf.convert_to_tensor(values) for values in self._rows(0, 1)]

    def row_of_own(self) -> list[tf.Tensor] | None:
        """A row of each of the model's own inputs, the first or that of the most words.

        None where these inputs are not known.
        """
        if self._own is None:
            return None
        specs = [self._own_graph.specs[number] for number in self._own_graph.inputs]
        # By itself a text without words may be nothing that a model takes.
        counts = [list(map(len, rows)) for rows in self.words.values()]
        row = int(np.min(counts, axis=0).argmax()) if counts else 0
        rows = [tf.convert_to_tensor(values[row : row + 1]) for values in self._own]
        return [tf.cast(row, spec.dtype) for row, spec in zip(rows, specs, strict=True)]

    def _rows(self, start: int, stop: int) -> list[np.ndarray]:
        pairs = zip(self.x, self._dtypes, strict=True)
        return [in_dtype(values[start:stop], dtype) for values, dtype in pairs]
