"""Weights laid out for the walk, kept for as long as they are what the model has."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from ..graph.compat import as_tensor, raw_tensor
from ..graph.weights import _address

Layout = Callable[[tf.Tensor], tf.Tensor]


class Layouts:
    """Copies of a model's weights in another order, made once and again when the weights change.

    The walk reads the weights of single units, which lie far apart in a layer's own kernel, and
    laying the kernels out takes as long as running the network.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, Layout], _Kept] = {}

    def of(self, variable: Any, layout: Layout) -> tf.Tensor:
        """The laid-out weights, for a program that is being traced.

        Args:
            variable: A layer's variable.
            layout: From its value, as a float32 tensor, to the same numbers in another order. Told
                apart by identity.
        """
        key = id(variable), layout
        if key not in self._kept:
            # In another thread there is no trace going on: TensorFlow traces a function twice that
            # makes variables, even inside of `tf.init_scope`.
            with ThreadPoolExecutor(1) as outside:
                self._kept[key] = outside.submit(_Kept, variable, layout).result()
        return tf.convert_to_tensor(self._kept[key].copy)

    @property
    def variables(self) -> list[Any]:
        """The layers' variables that there are copies of."""
        return [kept.variable for kept in self._kept.values()]

    @property
    def copies(self) -> list[tf.Variable]:
        """The copies of those."""
        return [kept.copy for kept in self._kept.values()]

    def refresh(self) -> None:
        """Lays out again what has changed. To be called before the program runs."""
        for kept in self._kept.values():
            kept.refresh()


class _Kept:
    """One variable's weights.

    TensorFlow updates a variable in place only while nobody else holds its memory. Holding it thus
    makes every update move the variable, so that its address tells whether it has changed.
    """

    def __init__(self, variable: Any, layout: Layout) -> None:
        self.variable, self._layout = variable, layout
        self._held = raw_tensor(variable)
        self.copy = tf.Variable(layout(as_tensor(variable)), trainable=False)

    def refresh(self) -> None:
        now = raw_tensor(self.variable)
        if _address(now) != _address(self._held):
            self._held = now
            self.copy.assign(self._layout(as_tensor(self.variable)))
