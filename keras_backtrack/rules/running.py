"""Running sums along an axis."""

from dataclasses import dataclass

import tensorflow as tf

from .contributions import LinearSum
from .registry import register_operation
from .traced_call import TracedCall


@register_operation("cumsum")
def cumsum(call: TracedCall) -> LinearSum:
    """All up to a place are added up, with equal weights."""
    given, rank = call.arguments, call.input.shape.rank
    axis = given.get("axis")
    if axis is None or int(axis) % rank == 0:
        raise ValueError(
            f"`axis` must leave the batch alone in {call.call.describe()}. Received: {axis!r}."
        )
    ends = bool(given.get("exclusive")), bool(given.get("reverse"))
    source = tf.cast(call.input, tf.float32)
    return RunningSum(source, None, tf.ones([]), int(axis) % rank, *ends)


@dataclass(frozen=True)
class RunningSum(LinearSum):
    """Every unit up to a place is a group of its own.

    Attributes:
        axis: Along which; counted from the batch axis.
        is_exclusive: Whether a place's own unit is left out.
        is_reversed: Whether it is all from a place to the end.
    """

    group_limit = "top_n"

    axis: int
    is_exclusive: bool
    is_reversed: bool

    @property
    def is_channelwise(self) -> bool:
        return self.axis < self.source.shape.rank - 1

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return tf.cumsum(source, self.axis, self.is_exclusive, self.is_reversed) * weights
