"""The way out for layers without a rule: their local gradient times their input."""

import warnings
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import tensorflow as tf

from .contributions import At, Groups, Sum, single_groups
from .indexing import dims, units_of
from .traced_call import TracedCall


def gradient(call: TracedCall) -> Sum:
    """Takes a layer as the linear function that it is near its input, without the constant.

    For a layer that is linear its contributions are exactly W·A.
    """
    rows = tf.shape(call.input)[0]
    flat = [tf.reshape(tf.cast(t, tf.float32), [rows, -1]) for t in call.followed_inputs]
    source = tf.concat(flat, 1)
    return GradientSum(source, None, call)


# Layers that were warned of.
_WARNED: WeakSet[Any] = WeakSet()


def _warn(layer: Any, text: str) -> None:
    if layer not in _WARNED:
        _WARNED.add(layer)
        warnings.warn(text, stacklevel=3)


@dataclass(frozen=True)
class GradientSum(Sum):
    """Every input unit is a group of its own; its weight is the layer's gradient.

    Attributes:
        call: The call whose gradient it is.
    """

    group_limit = "top_n"

    call: Any

    def groups(self, at: At, bias: tf.Tensor | None) -> Groups:
        source = tf.gather(self.source, at.image)
        with tf.GradientTape() as tape:
            tape.watch(source)
            output = self.call.run(self._inputs(source, at.image))
            rows = tf.reshape(tf.cast(output, tf.float32), [tf.shape(source)[0], -1])
            chosen = tf.gather(rows, at.unit, batch_dims=1)
        gradient = tape.gradient(chosen, source)
        if gradient is None:
            _warn(
                self.call.layer,
                f"{self.call.call.describe()} has no gradient for fallback='gradient': it uses no "
                "more of its input than the sizes, or TensorFlow cannot differentiate what it "
                "does. What comes to it ends there and counts as lost.",
            )
            gradient = tf.zeros_like(source)
        value = at.sign[:, None] * (gradient * source)
        return single_groups(value, lambda parent, choice: choice, gradient)

    def _inputs(self, source: tf.Tensor, image: tf.Tensor) -> list[tf.Tensor]:
        """The layer's inputs, a row for each node: those that are followed cut from `source`."""
        sizes = [tf.cast(units_of(tensor), tf.int32) for tensor in self.call.followed_inputs]
        parts = self.call.among_inputs(tf.split(source, sizes, axis=1))
        return [
            tf.gather(tensor, image)
            if part is None
            else tf.cast(tf.reshape(part, [-1, *dims(tensor)]), tensor.dtype)
            for tensor, part in zip(self.call.inputs, parts, strict=True)
        ]
