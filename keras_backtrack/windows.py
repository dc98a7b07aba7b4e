"""Which inputs a sliding window reads: the geometry that convolution and pooling share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from .contributions import Dim, product, unravel
from .nodes import traced_once


@dataclass(frozen=True)
class Windows:
    """Sliding windows over any number of spatial axes.

    Attributes:
        input_dims, output_dims: Spatial sizes.
        size, strides, dilation: One number per axis.
        padding: `"valid"` or `"same"`, placed as TensorFlow does: the odd one at the end.
    """

    input_dims: Sequence[Dim]
    output_dims: Sequence[Dim]
    size: Sequence[Dim]
    strides: Sequence[int]
    dilation: Sequence[int]
    padding: str

    @classmethod
    def whole(cls, input_dims: Sequence[Dim]) -> "Windows":
        """One window that sees everything, as in global pooling."""
        ones = [1] * len(input_dims)
        return cls(input_dims, ones, input_dims, ones, ones, "valid")

    @property
    def taps(self) -> Dim:
        """Number of positions in a window."""
        return product(self.size)

    def rows(self, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The positions each window reads.

        Args:
            position: (M,) int64, row-major place of the window among the outputs.

        Returns:
            (M, taps) int64, row-major places in the input, taps in row-major order; and (M, taps)
            bool, false where a tap lies in the padding (its place is then some valid one).
        """
        place, inside = None, None
        for axis, coordinate in enumerate(unravel(position, self.output_dims)):
            along, valid = _along(
                coordinate * self.strides[axis], self._offsets(axis), self.input_dims[axis]
            )
            if place is None:
                place, inside = along, valid
            else:
                place, inside = _cross(place, inside, along, valid, self.input_dims[axis])
        taps = self.taps if isinstance(self.taps, int) else None
        return tf.ensure_shape(place, [None, taps]), tf.ensure_shape(inside, [None, taps])

    def _offsets(self, axis: int) -> tf.Tensor | np.ndarray:
        size = self.size[axis]
        steps = tf.range(tf.cast(size, tf.int64)) if tf.is_tensor(size) else np.arange(size)
        return steps * self.dilation[axis] - self._before(axis)

    def _before(self, axis: int) -> Dim:
        if self.padding == "valid":
            return 0
        reach = (self.size[axis] - 1) * self.dilation[axis] + 1
        span = (self.output_dims[axis] - 1) * self.strides[axis] + reach
        missing = span - self.input_dims[axis]
        return tf.maximum(missing, 0) // 2 if tf.is_tensor(missing) else max(missing, 0) // 2


@traced_once(([None], tf.int64), ([None], tf.int64), ([], tf.int64))
def _along(start, offsets, extent):
    """Coordinates (M, taps) along one axis, kept inside, and whether they were."""
    along = start[:, None] + offsets
    return tf.clip_by_value(along, 0, extent - 1), (along >= 0) & (along < extent)


_TABLE = [None, None]


@traced_once(
    (_TABLE, tf.int64), (_TABLE, tf.bool), (_TABLE, tf.int64), (_TABLE, tf.bool), ([], tf.int64)
)
def _cross(place, inside, along, valid, extent):
    """Every tap so far with every tap along one axis more."""
    shape = [tf.shape(place)[0], -1]
    place = tf.reshape(place[:, :, None] * extent + along[:, None, :], shape)
    return place, tf.reshape(inside[:, :, None] & valid[:, None, :], shape)
