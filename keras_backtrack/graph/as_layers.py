"""Bare operations that are layers without variables of their own: they become such layers."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .compat import KerasCall, arguments, give_kernel, is_symbolic, is_variable, keras

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


def convolution(given: dict, image: Any, name: str = "convolved") -> Any:
    """The layer that a convolution is; None where channels and kernel do not fit.

    Args:
        given: Its `kernel`, `strides`, `padding`, `dilation_rate` and `data_format`.
        image: The tensor that it is of.
        name: Of the layer.
    """
    kernel, rank = given["kernel"], len(image.shape) - 2
    channels, own = image.shape[_channel_axis(given)], kernel.shape[-2]
    if not channels or channels % own:
        return None
    make = getattr(layers, f"Conv{rank}D")
    settings = {"groups": channels // own, "filters": kernel.shape[-1]}
    return _windowed(make, given, rank, name, **settings)


def depthwise(given: dict, image: Any, name: str = "convolved") -> Any:
    """As `convolution`, of each channel by itself."""
    rank = len(image.shape) - 2
    make = getattr(layers, f"DepthwiseConv{rank}D")
    return _windowed(make, given, rank, name, depth_multiplier=given["kernel"].shape[-1])


def _windowed(make: Callable, given: dict, rank: int, name: str, **settings: Any) -> Any:
    kernel = given["kernel"]
    dilation = _for_axes(given, "dilation_rate", rank) or 1
    settings |= {"kernel_size": tuple(kernel.shape[:rank]), "dilation_rate": dilation}
    return _given_kernel(make(name=name, **settings, **_sliding(given, rank)), kernel)


def _given_kernel(layer: Any, kernel: Any) -> Any:
    # Of a number that was worked out nothing else holds on to.
    give_kernel(layer, kernel if is_variable(kernel) else tf.Variable(kernel, trainable=False))
    return layer


def pooling(kind: str, name: str = "pooled") -> Callable:
    """Makes the layer that pooling is, `"Max"` or `"Average"`, of what `convolution` takes."""

    def make(given: dict, image: Any) -> Any:
        rank = len(image.shape) - 2
        size = _for_axes(given, "pool_size", rank)
        settings = _sliding(given, rank)
        return getattr(layers, f"{kind}Pooling{rank}D")(size, name=name, **settings)

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


# By the names of Keras's operations and of TensorFlow's functions.
_MAKERS: dict[str, Callable] = {
    **dict.fromkeys(("averagepool", "avgpool", "avgpool2d"), pooling("Average")),
    **dict.fromkeys(("conv", "conv2d", "convolution"), convolution),
    **dict.fromkeys(("depthwiseconv", "depthwiseconv2d"), depthwise),
    **dict.fromkeys(("maxpool", "maxpool2d"), pooling("Max")),
    "resize": _resizing,
}
