"""Layers that encode categories: a vector is of what is at its position, a bag of all positions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import tensorflow as tf

from ..graph.compat import as_tensor, is_variable, keras
from ..graph.encodings import added_up
from .contributions import At, Branches, Groups, LinearSum, Same, same_place, single_groups
from .registry import register_operation, register_rule
from .traced_call import TracedCall

layers = keras.layers


def _existing(*names: str) -> list[type]:
    return [getattr(layers, name) for name in names if hasattr(layers, name)]


@register_rule(*_existing("Discretization", "Hashing", "IntegerLookup"))
@register_rule(*_existing("StringLookup", "TextVectorization"))
@register_operation("index")
def category(call: TracedCall) -> Same:
    """The category of what is at the same place."""
    return same_place()


@register_rule(*_existing("HashedCrossing"))
@register_operation("crossing")
def crossing(call: TracedCall) -> Branches:
    """A category of several together, which all make it equally."""

    def parts(sign: tf.Tensor, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [value * 0 + 1 for value in values]

    return Branches(parts, takes_arrays=True)


@register_operation("bag")
def bag(call: TracedCall) -> "BagSum":
    """Each position counts one for its category."""
    weights = call.arguments["weights"]
    weights = as_tensor(weights) if is_variable(weights) else tf.cast(weights, tf.float32)
    index = tf.cast(call.input, tf.int64)
    return BagSum(tf.ones(tf.shape(index)), None, weights, index)


@dataclass(frozen=True)
class BagSum(LinearSum):
    """How often each category is there; every position is a group of its own.

    Attributes:
        source: (N, T) float32, the 1 that each position counts.
        weights: (categories,) float32.
        index: (N, T) int64, which category is at each.
    """

    group_limit = "top_n"

    index: tf.Tensor

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return added_up(source, self.index, weights)

    def of_images(self, image: tf.Tensor) -> "BagSum":
        index = tf.gather(self.index, image)
        return replace(self, source=tf.gather(self.source, image), index=index)

    def groups(self, at: At, bias: tf.Tensor | None) -> Groups:
        is_own = tf.gather(self.index, at.image) == at.unit[:, None]
        weight = tf.where(is_own, tf.gather(self.weights, at.unit)[:, None], 0.0)
        value = at.sign[:, None] * weight
        if bias is not None:
            value += bias[:, None]
        return single_groups(value, lambda parent, choice: choice, weight)
