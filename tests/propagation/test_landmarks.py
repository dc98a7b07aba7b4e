"""Where places are told apart, and down to where maps are small."""

import pytest
from networks import layers
from sequence_networks import mean

from keras_backtrack.graph.compat import keras
from keras_backtrack.propagation.landmarks import landmarks
from keras_backtrack.rules import Rules, read_model


def vgg():
    x = image = keras.Input((64, 64, 3))
    for stage in range(1, 4):
        x = layers.Conv2D(4 * stage, 3, padding="same", activation="relu", name=f"conv{stage}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{stage}")(x)
    x = layers.Dense(8, activation="relu")(layers.Flatten(name="flat")(x))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


def residual():
    image = keras.Input((64, 64, 3))
    x = layers.Conv2D(4, 7, strides=4, padding="same", activation="relu", name="stem")(image)
    y = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="inner")(x)
    y = layers.Conv2D(8, 3, padding="same", name="outer")(y)
    short = layers.Conv2D(8, 1, strides=2, padding="same", name="short")(x)
    x = layers.ReLU(name="block")(layers.Add(name="add")([short, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(5)(x))


def one_unit():
    x = image = keras.Input((32, 32, 1))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv1")(x)
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv2")(x)
    x = layers.GlobalMaxPooling2D()(x)
    return keras.Model(image, layers.Dense(1, activation="sigmoid")(x))


def u_net():
    image = keras.Input((32, 32, 1))
    wide = layers.Conv2D(4, 3, padding="same", name="wide")(image)
    x = layers.Conv2D(8, 3, padding="same", name="narrow")(layers.MaxPooling2D(2)(wide))
    x = layers.Concatenate(name="both")([wide, layers.UpSampling2D(2)(x)])
    x = layers.Conv2D(4, 3, padding="same", name="top")(x)
    return keras.Model(image, layers.Conv2D(2, 1, name="out")(x))


def text():
    words = keras.Input((12,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(20, 4, name="embedded")(words))
    return keras.Model(words, layers.Dense(3)(x))


def transformer(has_class_token: bool):
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 4, strides=4, name="patches")(image)
    x = layers.Reshape((64, 8), name="tokens")(x)
    if has_class_token:
        x = layers.ZeroPadding1D((1, 0))(x)  # that of the class, of zeros
    for block in range(2):
        y = layers.LayerNormalization(name=f"norm{block}")(x)
        y = layers.MultiHeadAttention(2, 4, name=f"attention{block}")(y, y)
        x = layers.Add(name=f"block{block}")([x, y])
    x = x[:, 0] if has_class_token else mean(x, axis=1)
    return keras.Model(image, layers.Dense(5)(x))


def picture_and_table():
    image, table = keras.Input((32, 32, 3)), keras.Input((6,))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(image)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Concatenate()([x, layers.Dense(3)(table)])
    return keras.Model([image, table], layers.Dense(2)(x))


def table():
    numbers = keras.Input((7,))
    return keras.Model(numbers, layers.Dense(2)(layers.Dense(5, activation="relu")(numbers)))


def of_any_size():
    x = image = keras.Input((None, None, 3))
    for stage in range(1, 6):
        x = layers.Conv2D(4, 3, strides=2, padding="same", name=f"conv{stage}")(x)
    return keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


INPUT = "the input"
# The last map and the fine layer of each input; None where there is none.
EXPECTED = {
    "vgg": (vgg, [("pool3", "pool3")]),
    "residual": (residual, [("block", "block")]),
    "one unit": (one_unit, [("conv2", "conv2")]),
    "u-net": (u_net, [("top", "wide")]),
    "text": (text, [("embedded", None)]),
    "class token": (lambda: transformer(True), [("block0", "patches")]),
    "mean of tokens": (lambda: transformer(False), [("block1", "patches")]),
    "picture and table": (picture_and_table, [("conv", "conv"), (None, None)]),
    "table": (table, [(None, None)]),
    "any size": (of_any_size, [("conv5", "conv4")]),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_landmarks(name):
    network, expected = EXPECTED[name]
    graph = read_model(network())
    found = landmarks(graph, Rules())
    names = {**graph.names, **dict.fromkeys(graph.inputs, INPUT), None: None}
    got = [
        tuple(names[marks.get(number)] for marks in (found.last_maps, found.fine_layers))
        for number in graph.inputs
    ]
    assert got == expected
