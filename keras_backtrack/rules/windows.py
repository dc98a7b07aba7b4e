"""Which inputs a sliding window reads: the one geometry of convolution and pooling.

From sizes that are numbers it is made of NumPy arrays, for machine code and for receptive fields;
from sizes that are known only when the network runs, of tensors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
        offsets: For each axis (k,) ints, where the taps lie from the window's start, which is at
            the output's place times the strides; below 0 in the padding before the first input. In
            the order in which the inputs lie that they read: transposed, the last tap is first.
        input_dims, output_dims, strides: (axes,) ints.
        transposed: Whether the window of output o has input i at tap t where the window of an
            ordinary layer's output i would have its input o.
    """

    taps: int | None
    offsets: tuple[Any, ...]
    input_dims: Any
    output_dims: Any
    strides: Any
    transposed: bool = False

    @classmethod
    def sliding(
        cls, input_dims: Sequence[Dim], output_dims: Sequence[Dim], slide: Slide | None
    ) -> "Windows":
        """Windows of a layer, from its input's and its output's spatial sizes.

        Args:
            input_dims, output_dims: The sizes.
            slide: How the window slides; None for one window that sees everything, as in global
                pooling.
        """
        if slide is None:
            ones = [1] * len(input_dims)
            offsets = [tf.range(n) if tf.is_tensor(n) else np.arange(n) for n in input_dims]
            return cls(None, tuple(offsets), input_dims, ones, ones)
        slid, over = (input_dims, output_dims) if slide.transposed else (output_dims, input_dims)
        offsets = []
        for axis, (size, stride, spread) in enumerate(
            zip(slide.size, slide.strides, slide.dilation, strict=True)
        ):
            reach = (size - 1) * spread
            before: Dim = 0
            if slide.padding == "same":
                missing = (slid[axis] - 1) * stride + reach + 1 - over[axis]
                before = (tf.maximum(missing, 0) if tf.is_tensor(missing) else max(missing, 0)) // 2
            elif slide.padding == "causal":
                before = reach
            own = np.arange(size) * spread - before
            # Of equal contributions the first is followed, which must be that of the lowest place.
            offsets.append(own[::-1] if slide.transposed else own)
        taps = int(np.prod(slide.size))
        return cls(taps, tuple(offsets), input_dims, output_dims, slide.strides, slide.transposed)

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
        coordinates = unravel(position, [tf.cast(n, tf.int32) for n in self.output_dims])
        for axis, offsets in enumerate(self.offsets):
            extent, stride = tf.cast(self.input_dims[axis], tf.int32), self.strides[axis]
            offsets = tf.cast(offsets, tf.int32)
            if self.transposed:
                along = coordinates[axis][:, None] - offsets
                along = tf.where(along % stride == 0, along // stride, -1)
            else:
                along = (coordinates[axis] * stride)[:, None] + offsets
            valid = (along >= 0) & (along < extent)
            along = tf.clip_by_value(along, 0, extent - 1)
            place = tf.reshape(place[:, :, None] * extent + along[:, None, :], [count, -1])
            inside = tf.reshape(inside[:, :, None] & valid[:, None, :], [count, -1])
        shape = [None, self.taps]
        return tf.ensure_shape(place, shape), tf.ensure_shape(inside, shape)
