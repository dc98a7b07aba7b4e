"""Bare operations that are layers without variables of their own: they become such layers."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .compat import KERAS_3, KerasCall, arguments, give_kernel, is_symbolic, is_variable, keras

layers = keras.layers


def as_layer(made: KerasCall, operation: str) -> keras.Model | None:
    """A model of the one layer that does what a bare operation does; None where there is none.

    Args:
        made: A call of the operation.
        operation: Its name, as of `operation_name`.
    """
    make = _MAKERS.get(operation)
    symbolic = [v for v in tf.nest.flatten((made.args, made.kwargs)) if is_symbolic(v)]
    if make is None or len(symbolic) != 1:
        return None
    given = arguments(made.layer, made.args, made.kwargs)
    layer = make({_NAMES.get(name, name): value for name, value in given.items()}, symbolic[0])
    if layer is None:
        return None
    image = keras.Input(batch_shape=symbolic[0].shape, dtype=symbolic[0].dtype)
    model = keras.Model(image, layer(image))
    return model if model.output_shape == tuple(made.outputs[0].shape) else None


# What TensorFlow's functions call the arguments of Keras's.
_NAMES = {
    "dilations": "dilation_rate",
    "filter": "kernel",
    "filters": "kernel",
    "ksize": "pool_size",
}


def _convolution(given: dict, image: Any) -> Any:
    kernel, rank = given["kernel"], len(image.shape) - 2
    channels, own = image.shape[_channel_axis(given)], kernel.shape[-2]
    if not channels or channels % own:
        return None
    layer = getattr(layers, f"Conv{rank}D")(
        kernel.shape[-1],
        tuple(kernel.shape[:rank]),
        groups=channels // own,
        name="convolved",
        dilation_rate=_for_axes(given, "dilation_rate", rank) or 1,
        **_sliding(given, rank),
    )
    return _given_kernel(layer, kernel)


def _depthwise(given: dict, image: Any) -> Any:
    kernel, rank = given["kernel"], len(image.shape) - 2
    layer = getattr(layers, f"DepthwiseConv{rank}D")(
        tuple(kernel.shape[:rank]),
        depth_multiplier=kernel.shape[-1],
        name="convolved",
        dilation_rate=_for_axes(given, "dilation_rate", rank) or 1,
        **_sliding(given, rank),
    )
    return _given_kernel(layer, kernel)


def _given_kernel(layer: Any, kernel: Any) -> Any:
    # Of a number that was worked out nothing else holds on to.
    give_kernel(layer, kernel if is_variable(kernel) else tf.Variable(kernel, trainable=False))
    return layer


def _pooling(kind: str) -> Callable:
    def make(given: dict, image: Any) -> Any:
        rank = len(image.shape) - 2
        size = _for_axes(given, "pool_size", rank)
        return getattr(layers, f"{kind}Pooling{rank}D")(
            size, name="pooled", **_sliding(given, rank)
        )

    return make


def _resizing(given: dict, image: Any) -> Any:
    method = given.get("interpolation", given.get("method", "bilinear"))
    size = given.get("size")
    others = ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "preserve_aspect_ratio")
    if any(given.get(name) for name in others) or not isinstance(method, str) or size is None:
        return None
    if any(not isinstance(n, int) for n in size):
        return None
    own = {"data_format": given["data_format"]} if given.get("data_format") else {}
    return layers.Resizing(*size, interpolation=method, name="resized", **own)


def _sliding(given: dict, rank: int) -> dict:
    """How a window moves, as a layer takes it."""
    found = {
        "strides": _for_axes(given, "strides", rank),
        "padding": str(given.get("padding") or "valid").lower(),
        "data_format": _data_format(given),
    }
    return {name: value for name, value in found.items() if value is not None}


def _for_axes(given: dict, name: str, rank: int) -> tuple[int, ...] | None:
    """A setting for each axis of the window, TensorFlow's for batch and channels left out."""
    value = given.get(name)
    if value is None:
        return None
    value = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(value) == rank + 2:
        value = value[2:] if _data_format(given) == "channels_first" else value[1:-1]
    return value * rank if len(value) == 1 else value


def _data_format(given: dict) -> str | None:
    text = given.get("data_format")
    return {"NCHW": "channels_first", "NHWC": "channels_last"}.get(str(text), text)


def _channel_axis(given: dict) -> int:
    return 1 if _data_format(given) == "channels_first" else -1


_MAKERS: dict[str, Callable] = {
    "averagepool": _pooling("Average"),
    "conv": _convolution,
    "depthwiseconv": _depthwise,
    "maxpool": _pooling("Max"),
    "resize": _resizing,
}
if not KERAS_3:
    _MAKERS |= {
        **dict.fromkeys(("avgpool", "avgpool2d"), _pooling("Average")),
        **dict.fromkeys(("conv2d", "convolution"), _convolution),
        **dict.fromkeys(("maxpool2d",), _pooling("Max")),
        "depthwiseconv2d": _depthwise,
    }
