"""The images that decisions are about, under the numbers they have in what was explained."""

from typing import Any, Protocol

import numpy as np


class Images(Protocol):
    """Rows of one of a model's inputs: an array, or some of its rows."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any) -> np.ndarray: ...


class SomeRows:
    """Some rows of an array, where the others are not needed.

    Args:
        numbers: (R,) int64, which rows, in ascending order.
        values: (R, ...) the rows.
        count: How many rows there were.
    """

    def __init__(self, numbers: np.ndarray, values: np.ndarray, count: int) -> None:
        self.numbers, self.values, self._count = numbers, values, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, key: Any) -> np.ndarray:
        wanted = np.arange(self._count)[key]
        if not np.isin(wanted, self.numbers).all():
            raise IndexError(f"Only the images {self.numbers} are kept. Received: {wanted}.")
        return self.values[np.searchsorted(self.numbers, wanted)]


def of_rows(images: Images, numbers: np.ndarray) -> Images:
    """Of images those with some numbers, which are in ascending order."""
    if len(numbers) == len(images):
        return np.asarray(images[:])
    return SomeRows(numbers, np.asarray(images[numbers]), len(images))
