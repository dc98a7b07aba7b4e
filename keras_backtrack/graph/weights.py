"""Whether a model's weights have changed since they were read."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .compat import raw_tensor


class Held:
    """The numbers of a tensor that was read, kept to be told from those of another reading.

    TensorFlow updates a variable in place only while nobody else holds its memory. Holding it thus
    makes every update move the variable: at the same address are the same numbers. At another one
    may be either, as some variables are copied at every read, and those of other devices always.

    Args:
        tensor: What was read.
    """

    def __init__(self, tensor: tf.Tensor) -> None:
        self._keep(tensor, _array_of(tensor))

    def _keep(self, tensor: tf.Tensor, array: np.ndarray) -> None:
        self._tensor, self._array = tensor, array

    def equals(self, tensor: tf.Tensor) -> bool:
        """Whether another reading of the same variable has the same numbers."""
        array = _array_of(tensor)
        # As long as this one is kept, no other can have its memory.
        if np.may_share_memory(array, self._array):
            return True
        # Bit for bit, since what is no number equals nothing.
        one, other = (np.reshape(a, -1).view(np.uint8) for a in (array, self._array))
        if not np.array_equal(one, other):
            return False
        self._keep(tensor, array)
        return True


class Watch:
    """Tells whether any of some variables has changed since."""

    def __init__(self, variables: Sequence[Any] = ()) -> None:
        self._held: dict[int, Held] = {}
        self._variables: list[Any] = []
        self._read_all: Callable[[], list[tf.Tensor]] | None = list
        self.also(variables)

    def also(self, variables: Sequence[Any]) -> None:
        """Tells of these, too; of those it tells of already it goes on as before."""
        new = {id(v): v for v in variables if id(v) not in self._held}
        if new:
            self._variables += new.values()
            self._read_all = None
            self._held.update((key, Held(raw_tensor(v))) for key, v in new.items())

    def _read(self) -> list[tf.Tensor]:
        if self._read_all is None:
            # One call reads them all in a tenth of the time that single reads take.
            read = tf.function(lambda: list(map(raw_tensor, self._variables)), autograph=False)
            self._read_all = read.get_concrete_function()
        return self._read_all()

    def renew(self) -> None:
        """From now on tells whether any has changed since now."""
        self._held = dict(zip(self._held, map(Held, self._read()), strict=True))

    def changed(self) -> bool:
        """Whether any has."""
        pairs = zip(self._held.values(), self._read(), strict=True)
        return not all(held.equals(tensor) for held, tensor in pairs)


def _array_of(tensor: tf.Tensor) -> np.ndarray:
    # NumPy makes no array of a single number of all dtypes.
    return np.asarray(tf.reshape(tensor, [1]) if tensor.shape.rank == 0 else tensor)
