"""Weights packed for the walk, kept for as long as they are what the model has."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from ..graph.compat import as_tensor, is_variable, raw_tensor
from ..graph.weights import Held

Layout = Callable[[tf.Tensor], tf.Tensor]


class PackedWeights:
    """Copies of a model's weights in another order, made once and again when the weights change.

    The walk reads the weights of single units, which lie far apart in a layer's own kernel, and
    laying the kernels out takes as long as running the network.
    """

    def __init__(self) -> None:
        self._copies: dict[tuple[int, Layout], _Copy] = {}

    def get(self, variable: Any, layout: Layout) -> tf.Tensor:
        """The weights in another order, for a program that is being traced.

        Args:
            variable: A layer's variable; or a tensor that is computed of several, of which no copy
                is kept.
            layout: From its value, as a float32 tensor, to the same numbers in another order. Told
                apart by identity.
        """
        if not is_variable(variable):
            return layout(tf.cast(variable, tf.float32))
        key = id(variable), layout
        if key not in self._copies:
            # In another thread there is no trace going on: TensorFlow traces a function twice that
            # makes variables, even inside of `tf.init_scope`.
            with ThreadPoolExecutor(1) as outside:
                self._copies[key] = outside.submit(_Copy, variable, layout).result()
        return tf.convert_to_tensor(self._copies[key].value)

    @property
    def variables(self) -> list[Any]:
        """The layers' variables that there are copies of."""
        return [copy.variable for copy in self._copies.values()]

    @property
    def copies(self) -> list[tf.Variable]:
        """The copies of those."""
        return [copy.value for copy in self._copies.values()]

    def refresh(self) -> None:
        """Packs again what has changed. To be called before the program runs."""
        for copy in self._copies.values():
            copy.refresh()


class _Copy:
    """One variable's weights."""

    def __init__(self, variable: Any, layout: Layout) -> None:
        self.variable, self._layout = variable, layout
        self._held = Held(raw_tensor(variable))
        self.value = tf.Variable(layout(as_tensor(variable)), trainable=False)

    def refresh(self) -> None:
        now = raw_tensor(self.variable)
        if not self._held.equals(now):
            self._held = Held(now)
            self.value.assign(self._layout(as_tensor(self.variable)))
