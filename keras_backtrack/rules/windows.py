"""Which inputs a sliding window reads: the geometry that convolution and pooling share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from .indexing import Dim, unravel


class Slide(NamedTuple):
    """How a layer's window slides: one number per spatial axis.

    Attributes:
        size, strides, dilation: Of the window.
        padding: `"valid"`; `"same"`, placed as TensorFlow does: the odd one at the end; or
            `"causal"`, all of it at the start.
        groups: Into how many parts the channels are cut that do not mix.
        transposed: Whether input and output change places.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str
    groups: int = 1
    transposed: bool = False


@dataclass(frozen=True)
class Windows:
    """Sliding windows over any number of spatial axes.

    Attributes:
        taps: Number of positions in a window; None where the input's size decides.
        offsets: For each axis (k,) int32, where the taps lie from the window's start; the start
            of window 0 is 0 or, with padding, before it.
        input_dims, output_dims, strides: (axes,) int32.
        transposed: Whether the window of output o has input i at tap t where the window of an
            ordinary layer's output i would have its input o.
    """

    taps: int | None
    offsets: tuple[tf.Tensor, ...]
    input_dims: tf.Tensor
    output_dims: tf.Tensor
    strides: tf.Tensor
    transposed: bool = False

    @classmethod
    def sliding(
        cls,
        input_dims: Sequence[Dim],
        output_dims: Sequence[Dim],
        slide: Slide,
    ) -> "Windows":
        """Windows of a layer, from its input's and its output's spatial sizes."""
        size, strides, dilation, padding, _, transposed = slide
        slid, over = (input_dims, output_dims) if transposed else (output_dims, input_dims)
        offsets = []
        for axis, extent in enumerate(size):
            before = 0
            if padding == "same":
                reach = (extent - 1) * dilation[axis] + 1
                span = (slid[axis] - 1) * strides[axis] + reach
                missing = span - over[axis]
                before = (tf.maximum(missing, 0) if tf.is_tensor(missing) else max(missing, 0)) // 2
            elif padding == "causal":
                before = (extent - 1) * dilation[axis]
            offsets.append(_int32(np.arange(extent) * dilation[axis] - before))
        taps = int(np.prod(size))
        sizes = map(_int32, (input_dims, output_dims, strides))
        return cls(taps, tuple(offsets), *sizes, transposed)

    @classmethod
    def whole(cls, input_dims: Sequence[Dim]) -> "Windows":
        """One window that sees everything, as in global pooling."""
        ones = [1] * len(input_dims)
        offsets = tuple(tf.range(_int32(extent)) for extent in input_dims)
        return cls(None, offsets, *map(_int32, (input_dims, ones, ones)))

    def rows(self, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The positions each window reads.

        Args:
            position: (M,) int64, row-major place of the window among the outputs.

        Returns:
            (M, taps) int32, row-major places in the input, taps in row-major order; and (M, taps)
            bool, false where a tap lies in the padding (its place is then some valid one).
        """
        count = tf.size(position)
        position = tf.cast(position, tf.int32)
        place = tf.zeros([count, 1], tf.int32)
        inside = tf.ones([count, 1], tf.bool)
        coordinates = unravel(position, tf.unstack(self.output_dims, len(self.offsets)))
        for axis, offsets in enumerate(self.offsets):
            extent = self.input_dims[axis]
            if self.transposed:
                along = coordinates[axis][:, None] - offsets
                starts = along % self.strides[axis] == 0
                along = tf.where(starts, along // self.strides[axis], -1)
            else:
                along = (coordinates[axis] * self.strides[axis])[:, None] + offsets
            valid = (along >= 0) & (along < extent)
            along = tf.clip_by_value(along, 0, extent - 1)
            place = tf.reshape(place[:, :, None] * extent + along[:, None, :], [count, -1])
            inside = tf.reshape(inside[:, :, None] & valid[:, None, :], [count, -1])
        shape = [None, self.taps]
        return tf.ensure_shape(place, shape), tf.ensure_shape(inside, shape)


def _int32(values) -> tf.Tensor:
    if isinstance(values, (list, tuple)) and any(tf.is_tensor(v) for v in values):
        return tf.stack([tf.cast(v, tf.int32) for v in values])
    return tf.cast(values, tf.int32)
