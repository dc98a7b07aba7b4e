"""Activations that act on each unit alone and do not fall, so that nodes stay where they are."""

from functools import partial
from typing import Any

import tensorflow as tf

from ..graph.compat import keras, operation_name

NAMES = (
    *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu"),
    *("hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax"),
    *("mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax"),
    *("softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus"),
    *("swish", "tanh", "tanh_shrink", "threshold"),
)

# Swish, GELU and Mish dip below zero and back, soft-max mixes the classes: the decision is read
# through them as through a monotone function, each class to its own logit.
ACTIVATION_LAYERS = tuple(
    getattr(keras.layers, name)
    for name in ("ELU", "LeakyReLU", "ReLU", "Softmax", "ThresholdedReLU")
    if hasattr(keras.layers, name)
)

# `keras.ops` is Keras 3's.
_MODULES = (keras.activations, tf.nn, tf.math, tf, getattr(keras, "ops", tf))


def _ids(*names: str) -> set[int]:
    return {id(getattr(m, name)) for m in _MODULES for name in names if hasattr(m, name)}


_FUNCTIONS = _ids(*NAMES)


def is_elementwise(activation: Any) -> bool:
    """Whether an activation is one of Keras's or TensorFlow's own, or None.

    Of any other it is recorded what it does.
    """
    if isinstance(activation, partial):
        activation = activation.func
    return (
        activation is None
        or id(activation) in _FUNCTIONS
        or isinstance(activation, ACTIVATION_LAYERS)
    )


_SIGMOIDS, _SOFTMAX = _ids("hard_sigmoid", "sigmoid"), _ids("softmax")


def is_sigmoid(layer: Any) -> bool:
    """Whether a layer ends in a sigmoid, or an operation is one."""
    is_operation = operation_name(layer) in ("hardsigmoid", "sigmoid")
    return is_operation or id(getattr(layer, "activation", None)) in _SIGMOIDS


def is_softmax(layer: Any) -> bool:
    """Whether a layer ends in a soft-max, or an operation is one."""
    is_own = isinstance(layer, keras.layers.Softmax) or operation_name(layer) == "softmax"
    return is_own or id(getattr(layer, "activation", None)) in _SOFTMAX


def is_activation(layer: Any) -> bool:
    """Whether a layer or an operation is but an activation, or nothing in inference."""
    kinds = (keras.layers.Activation, *ACTIVATION_LAYERS, *NOTHING_IN_INFERENCE)
    return isinstance(layer, kinds) or operation_name(layer) in _PLAIN_NAMES


_PLAIN_NAMES = {name.replace("_", "") for name in NAMES}


def is_gate(layer: Any) -> bool:
    """Whether what a layer or an operation ends in only weighs other things."""
    return is_sigmoid(layer) or is_softmax(layer)


NOTHING_IN_INFERENCE = tuple(
    getattr(keras.layers, name)
    for name in (
        *("ActivityRegularization", "Identity"),
        *("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
        *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
        # Augmentation that a model brings along.
        *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomErasing"),
        *("RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast"),
        *("RandomElasticTransform", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale"),
        *("RandomHeight", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization"),
        *("RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear"),
        *("RandomTranslation", "RandomWidth", "RandomZoom"),
    )
    if hasattr(keras.layers, name)
)
