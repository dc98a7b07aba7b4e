"""Whether a model's weights have changed since they were read."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .compat import raw_tensor


class Watch:
    """Tells whether any of some variables has changed since."""

    def __init__(self, variables: Sequence[Any]) -> None:
        # One call reads them all in a tenth of the time that single reads take.
        read = tf.function(lambda: [raw_tensor(v) for v in variables], autograph=False)
        self._read: Callable[[], list[tf.Tensor]]
        self._read = read.get_concrete_function() if variables else list
        self.renew()

    def renew(self) -> None:
        """From now on tells whether any has changed since now."""
        self._held = self._read()
        self.addresses = list(map(address, self._held))

    def changed(self) -> bool:
        """Whether any has."""
        return list(map(address, self._read())) != self.addresses


def address(tensor: tf.Tensor) -> int:
    """Where a tensor's numbers are in memory."""
    return np.asarray(tensor).__array_interface__["data"][0]
