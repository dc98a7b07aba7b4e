"""A network whose way down pages show, and what they hold of it."""

import base64
import re

import numpy as np
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.pictures.page import entry, pictures_of


def network():
    image = keras.Input((24, 20, 3), name="image")
    x = layers.Conv2D(6, 3, strides=2, padding="same", name="stem")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = skip = layers.ReLU(name="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="add")([x, skip])
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(layers.ZeroPadding2D(1, name="pad")(x))
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, layers.Dense(5, activation="softmax", name="classes")(x))


def explained(model):
    x = np.random.default_rng(0).random((2, 24, 20, 3), np.float32)
    return walker(model).explain(x, [[0, 3]] * 2)


def walker(model):
    """The paper's walk, node by node from the class down."""
    return BacktrackExplainer(model, 8, 2, 3, method="viterbi", contrast=False)


def unpacked(value):
    """Arrays of a page as NumPy's."""
    if isinstance(value, dict):
        return {k: unpacked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unpacked(v) for v in value]
    if isinstance(value, str) and re.match("(f4|i4|i1):", value):
        return np.frombuffer(base64.b64decode(value[3:]), f"<{value[:2]}")
    return value


def of_picture(e, **kwargs):
    explained = np.zeros((2, 24, 20, 3), np.uint8)
    return entry(pictures_of(e, explained, None, None, None)[0], 1)
