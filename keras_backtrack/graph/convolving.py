"""Convolutions with kernels that a `call` computes, as operations of their own."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from .compat import Operation


def convolution(operation: tf.Operation, image: Any, kernel: Any) -> tuple[Operation, tuple, dict]:
    """A traced convolution of pictures, channels last, under a name that rules know.

    Args:
        operation: Of the type `"Conv2D"` or `"DepthwiseConv2dNative"`.
        image, kernel: What stands for them in a call's arguments.

    Returns:
        The operation, its arguments, and its settings: `strides`, `dilation` and `padding`.
    """
    settings = {
        "strides": tuple(operation.get_attr("strides")[1:3]),
        "dilation": tuple(operation.get_attr("dilations")[1:3]),
        "padding": operation.get_attr("padding").decode().lower(),
    }
    if operation.type == "Conv2D":
        return Operation("convolved", _convolved), (image, kernel), settings
    return Operation("convolvedapart", _convolved_apart), (image, kernel), settings


def _with(convolve: Callable) -> Callable[..., tf.Tensor]:
    def convolved(
        image: tf.Tensor,
        kernel: Any,
        strides: Sequence[int],
        dilation: Sequence[int],
        padding: str,
    ) -> tf.Tensor:
        kernel = tf.cast(tf.convert_to_tensor(kernel), image.dtype)
        return convolve(image, kernel, [1, *strides, 1], padding.upper(), dilations=dilation)

    return convolved


_convolved, _convolved_apart = _with(tf.nn.conv2d), _with(tf.nn.depthwise_conv2d)
