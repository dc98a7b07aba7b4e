"""What people write in a layer's `call`, or for an activation, as random networks draw it."""

import tensorflow as tf
from hypothesis import strategies as st

from keras_backtrack.graph.compat import KERAS_3, keras

layers = keras.layers
ops = keras.ops if KERAS_3 else None


class Calls(layers.Layer):
    """A layer whose `call` is a function of the input, a token (1, 1, C) and a Dense layer.

    The function keeps the input's number of axes and channels.
    """

    def __init__(self, function):
        super().__init__()
        self.function = function

    def build(self, shape):
        sizes = (1,) * (len(shape) - 1) + (shape[-1],)
        self.token = self.add_weight(name="token", shape=sizes, initializer="ones")
        self.inner = layers.Dense(shape[-1])
        self.inner.build((None, *shape[1:]))
        self.built = True

    def call(self, x):
        return self.function(x, tf.convert_to_tensor(self.token), self.inner)

    def compute_output_shape(self, shape):
        sizes = [1, *shape[1:]]
        made = self.function(tf.zeros(sizes), tf.zeros([1] * (len(sizes) - 1) + sizes[-1:]), abs)
        return (None, *made.shape[1:])


def gated(x):
    """What comes of comparisons alone is a gate."""
    mask = ops.cast(x > 0.1, "float32") if KERAS_3 else tf.cast(x > 0.1, tf.float32)
    return x * mask


def tuned_swish(x):
    return x * keras.activations.sigmoid(1.7 * x)


def leaking(x):
    return ops.where(x > 0, x, 0.1 * x) if KERAS_3 else tf.where(x > 0, x, 0.1 * x)


ACTIVATIONS = [gated, tuned_swish, leaking]
if KERAS_3:
    ACTIVATIONS += [ops.silu, lambda x: ops.relu(x) ** 2]
else:
    ACTIVATIONS += [tf.nn.silu, lambda x: tf.nn.relu(x) ** 2]


def _rows(x, token, inner):
    """Flattened by sizes asked for, and back."""
    sizes = tf.shape(x)
    flat = tf.reshape(x, (sizes[0], -1, x.shape[-1]))
    return tf.reshape(tf.nn.relu(inner(flat)), sizes)


def _with_token(x, token, inner):
    sizes = tf.concat([tf.shape(x)[:1], [1], tf.shape(x)[2:]], 0)
    return tf.concat([tf.broadcast_to(token, sizes), inner(x)], 1)


def _with_zeros(x, token, inner):
    sizes = tf.concat([tf.shape(x)[:1], [1], tf.shape(x)[2:]], 0)
    return tf.concat([x, tf.zeros(sizes)], 1) * 2.0


@tf.function
def _doubled(x):
    return tf.nn.relu(x) * 2.0


OF_ANY_RANK = [
    _rows,
    _with_token,
    _with_zeros,
    lambda x, token, inner: x * tf.cast(inner(x) > 0, tf.float32),
    lambda x, token, inner: tf.nn.relu(inner(x)) - tf.reduce_mean(x, axis=1, keepdims=True),
    lambda x, token, inner: _doubled(inner(x)) + token,
    lambda x, token, inner: tf.where(x > 0, x, 0.1 * x) + tf.zeros_like(x),
    lambda x, token, inner: tf.nn.relu(x) ** 2 - tf.maximum(x, token),
]


def _heads(x, token, inner):
    """Attention with itself, one head for each channel."""
    b, t, c = tf.unstack(tf.shape(x))
    y = tf.transpose(tf.reshape(inner(x), (b, t, c, 1)), (0, 2, 1, 3))
    y = tf.matmul(tf.nn.softmax(tf.matmul(y, y, transpose_b=True)), y)
    return tf.reshape(tf.transpose(y, (0, 2, 1, 3)), (b, t, c))


def _pooled(x, token, inner):
    """The generalised mean."""
    return tf.reduce_mean(tf.nn.relu(x) ** 3, axis=1, keepdims=True) ** (1 / 3) + x


OF_SEQUENCES = [*OF_ANY_RANK, _heads, _pooled]


def idiom(draw, x):
    """Puts one on a tensor."""
    known = OF_SEQUENCES if len(x.shape) == 3 else OF_ANY_RANK
    if draw(st.booleans()):
        return layers.Activation(draw(st.sampled_from(ACTIVATIONS)))(x)
    return Calls(draw(st.sampled_from(known)))(x)
