"""Random small networks over sequences: recurrent, attention, siamese, of one or two inputs."""

import numpy as np
import tensorflow as tf
from hypothesis import strategies as st
from idioms import idiom
from networks import ACTIVATIONS, TOKENS, layers, randomise_all

from keras_backtrack.graph.compat import KERAS_3, keras

if KERAS_3:
    ops = keras.ops
    transpose, flip, mean = ops.transpose, ops.flip, ops.mean
    largest, where, stack, split = ops.max, ops.where, ops.stack, ops.split
else:
    transpose, mean = tf.transpose, tf.reduce_mean
    largest, where, stack = tf.reduce_max, tf.where, tf.stack

    def flip(x, axis):
        return tf.reverse(x, [axis])

    def split(x, parts, axis):
        return tf.split(x, parts, axis=axis)


@st.composite
def sequence_networks(draw):
    """A model, and that its weights are not exact: recurrent layers round differently."""
    kind = draw(st.sampled_from(["one", "siamese", "two"]))
    first, x = _start(draw)
    if kind == "siamese":
        second, y = _start(draw, like=(first, x))
        encode = _encoder(draw, x.shape[1:])
        out = layers.Dot(1, normalize=draw(st.booleans()))([encode(x), encode(y)])
        out = layers.Dense(5, name="head")(out)
        model = keras.Model([first, second], out)
    else:
        inputs = [first]
        for _ in range(draw(st.integers(1, 2))):
            x = _block(draw, x)
        x = _collapse(draw, x)
        if kind == "two":
            inputs.append(keras.Input((4,)))
            y = layers.Dense(3, activation=draw(st.sampled_from(ACTIVATIONS)))(inputs[1])
            x = layers.Concatenate()([x, y])
            if draw(st.booleans()):
                inputs = {"beside": inputs[1], "sequence": inputs[0]}
        model = keras.Model(inputs, layers.Dense(5, name="head")(x))
    randomise_all(model, draw(st.integers(0, 2**31)), exact=False)
    return model, False


def _start(draw, like=None):
    """An input and the first layer after it, that may mask some steps."""
    if like is not None:
        image = keras.Input(like[0].shape[1:], dtype=like[0].dtype)
        maker = like[1]._keras_history[0] if like[1] is not like[0] else None
        return image, maker(image) if maker is not None else image
    steps = draw(st.integers(3, 6))
    kind = draw(st.sampled_from(["signal", "tokens", "masked tokens"]))
    if kind == "signal":
        image = keras.Input((steps, draw(st.integers(2, 4))))
        return image, image
    image = keras.Input((steps,), dtype="int32")
    mask = kind == "masked tokens"
    return image, layers.Embedding(TOKENS, draw(st.integers(2, 4)), mask_zero=mask)(image)


def _cell(draw, units):
    kind = draw(st.sampled_from(["LSTM", "GRU", "SimpleRNN"]))
    settings = {"implementation": draw(st.sampled_from([1, 2]))} if kind != "SimpleRNN" else {}
    if kind == "GRU":
        settings["reset_after"] = draw(st.booleans())
    return kind, {"units": units, **settings}


def _recurrent(draw, whole: bool):
    kind, settings = _cell(draw, draw(st.integers(2, 3)))
    if draw(st.integers(0, 4)) == 0:
        cells = [layers.LSTMCell(2), layers.GRUCell(3)]
        return layers.RNN(cells, return_sequences=whole)
    return getattr(layers, kind)(
        **settings,
        return_sequences=whole,
        go_backwards=draw(st.booleans()),
        zero_output_for_mask=draw(st.booleans()),
    )


def _both_ways(draw, whole: bool):
    kind, settings = _cell(draw, 2)
    layer = getattr(layers, kind)(**settings, return_sequences=whole)
    merge = draw(st.sampled_from(["concat", "sum", "mul", "ave"]))
    return layers.Bidirectional(layer, merge_mode=merge)


def _encoder(draw, shape):
    """A recurrent layer, or attention with a mean, as a model to share."""
    x = inner = keras.Input(shape)
    if draw(st.booleans()):
        x = _recurrent(draw, whole=False)(x)
    else:
        x = layers.Flatten()(layers.Attention()([x, x]))
    return keras.Model(inner, x)


def _block(draw, x):
    kind = draw(
        st.sampled_from(
            [
                "recurrent",
                "both ways",
                "every step",
                "attention",
                "transposed",
                "depthwise",
                "moved",
                "idiom",
            ]
        )
    )
    if kind == "recurrent":
        return _recurrent(draw, whole=True)(x)
    if kind == "both ways":
        return _both_ways(draw, whole=True)(x)
    if kind == "every step":
        layer = layers.Dense(3, activation=draw(st.sampled_from(ACTIVATIONS)))
        return layers.TimeDistributed(layer)(x)
    if kind == "attention":
        heads = layers.MultiHeadAttention(2, 3, dropout=draw(st.sampled_from([0.0, 0.1])))
        y = layers.LayerNormalization()(layers.Add()([x, heads(x, x)]))
        return layers.Add()([y, layers.Dense(x.shape[-1], activation="gelu")(y)])
    if kind == "transposed":
        padding = draw(st.sampled_from(["same", "valid"]))
        return layers.Conv1DTranspose(3, 3, strides=2, padding=padding, activation="tanh")(x)
    if kind == "depthwise":
        return layers.DepthwiseConv1D(2, depth_multiplier=2, padding="same")(x)
    if kind == "idiom":
        return idiom(draw, x)
    return draw(st.sampled_from(_MOVES))(x)


_MOVES = [
    lambda x: transpose(flip(x, 1), (0, 2, 1)),
    lambda x: x[:, 1:, ::-1],
    lambda x: where(x > 0, x, 0.5 * x),
    lambda x: where(np.arange(x.shape[1])[:, None] % 2 == 0, x, x * 0.5),
    lambda x: where(np.arange(x.shape[-1]) > 0, x, 0.0),
    lambda x: x - mean(x, axis=1, keepdims=True),
    lambda x: x * largest(x, axis=-1, keepdims=True),
    lambda x: stack(split(x, x.shape[1], 1), axis=2)[:, 0],
    lambda x: abs(x) + x * x,
]


def _collapse(draw, x):
    kind = draw(st.sampled_from(["flatten", "mean", "last", "both ways"]))
    if kind == "flatten":
        return layers.Flatten()(x)
    if kind == "mean":
        return layers.GlobalAveragePooling1D()(x)
    if kind == "last":
        return _recurrent(draw, whole=False)(x)
    return _both_ways(draw, whole=False)(x)
