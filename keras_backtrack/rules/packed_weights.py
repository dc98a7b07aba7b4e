"""What is made of a model's weights, kept for as long as they are what the model has."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from ..graph.compat import as_tensor, is_variable
from ..graph.weights import Watch

Layout = Callable[[tf.Tensor], tf.Tensor]


class PackedWeights:
    """Copies of a model's weights in another order, made once and again when the weights change.

    The walk reads the weights of single units, which lie far apart in a layer's own kernel, and
    laying the kernels out takes as long as running the network.
    """

    def __init__(self) -> None:
        self._copies: dict[tuple[int, Layout], _Copy] = {}
        self._watch = Watch()
        self._renewals: list[Callable[[], None]] = []

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
                self._copies[key] = copy = outside.submit(_Copy, variable, layout).result()
                outside.submit(self.follow, [variable], copy.renew).result()
        return tf.convert_to_tensor(self._copies[key].value)

    @property
    def copies(self) -> list[tf.Variable]:
        """The copies, which change with the model alone."""
        return [copy.value for copy in self._copies.values()]

    def follow(self, variables: Sequence[Any], renew: Callable[[], None]) -> None:
        """Keeps what somebody made of some weights what it should be, and all that was made before.

        Args:
            variables: What it was made of, just now.
            renew: Makes it anew.
        """
        self._watch.also(variables)
        self._renewals.append(renew)

    def refresh(self) -> bool:
        """Makes all anew if weights have changed, and says whether they had.

        To be called before, or while, the program runs.
        """
        if not self._watch.changed():
            return False
        self._watch.renew()
        for renew in self._renewals:
            renew()
        return True


class _Copy:
    """One variable's weights."""

    def __init__(self, variable: Any, layout: Layout) -> None:
        self._variable, self._layout = variable, layout
        self.value = tf.Variable(layout(as_tensor(variable)), trainable=False)

    def renew(self) -> None:
        self.value.assign(self._layout(as_tensor(self._variable)))
