"""Layers that ask for sizes, or compute with TensorFlow, in their `call`: traced and followed."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers
from propagation.compared import assert_right

from keras_backtrack import BacktrackExplainer, UnsupportedLayerError
from keras_backtrack.graph.compat import KERAS_3, keras

METHODS = ["viterbi", "posterior", "backtrack"]
all_methods = pytest.mark.parametrize("method", METHODS)


class Calls(layers.Layer):
    """A layer whose `call` is a function of the input, a token (1, 1, C) and a table (9, C)."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def build(self, shape):
        def new(name, sizes):
            return self.add_weight(name=name, shape=sizes, initializer="random_normal")

        self.token, self.table = new("token", (1, 1, shape[-1])), new("table", (9, shape[-1]))
        self.inner = layers.Dense(shape[-1])
        self.inner.build((None, *shape[1:]))
        self.merged = layers.Add()
        self.built = True

    def call(self, x):
        token, table = (tf.convert_to_tensor(v) for v in (self.token, self.table))
        return self.function(self, x, token, table)

    def compute_output_shape(self, shape):
        outputs = self.function(self, tf.zeros((2, *shape[1:])), self.token + 0, self.table + 0)
        return (None, *outputs.shape[1:])


def heads(layer, x, token, table):
    """Cut up in heads, attention, put together."""
    b, t, c = tf.unstack(tf.shape(x))
    y = tf.transpose(tf.reshape(x, (b, t, 2, c // 2)), (0, 2, 1, 3))
    y = tf.matmul(tf.nn.softmax(tf.matmul(y, y, transpose_b=True)), y)
    return tf.reshape(tf.transpose(y, (0, 2, 1, 3)), (b, t, c))


def positions(layer, x, token, table):
    return x + tf.gather(table, tf.range(tf.shape(x)[1]))


def class_token(layer, x, token, table):
    b, c = tf.shape(x)[0], tf.shape(x)[2]
    return tf.concat([tf.broadcast_to(token, (b, 1, c)), layer.inner(x)], 1)


def two_queries(layer, x, token, table):
    """Attention of what does not depend on the input."""
    query = layer.inner(tf.broadcast_to(token, (tf.shape(x)[0], 2, 6)))
    return tf.matmul(tf.nn.softmax(tf.matmul(query, x, transpose_b=True)), x)


@tf.function
def doubled(x):
    return tf.nn.relu(x) * 2.0


@tf.function
def numbered(count):
    """A column of numbers, as many as are asked for."""
    return tf.range(count, dtype=tf.float32)[:, None] / 10.0


WITH_SIZES = {
    "heads": heads,
    "positions": positions,
    "class token": class_token,
    "two queries": two_queries,
    "tiled": lambda layer, x, token, table: tf.concat(
        [x, tf.tile(token, (tf.shape(x)[0], 1, 1))], 1
    ),
    "repeated": lambda layer, x, token, table: tf.concat(
        [tf.repeat(token, tf.shape(x)[0], axis=0), x], 1
    ),
    "zeros": lambda layer, x, token, table: tf.concat([tf.zeros((tf.shape(x)[0], 2, 6)), x], 1),
    "zeros like": lambda layer, x, token, table: tf.concat([x, tf.zeros_like(x)], 2),
    "ones like": lambda layer, x, token, table: x * tf.ones_like(x) * 2.0 - tf.ones_like(x),
    "mean by hand": lambda layer, x, token, table: (
        tf.reduce_sum(x, 1) / tf.cast(tf.shape(x)[1], x.dtype)
    ),
    "flat": lambda layer, x, token, table: tf.reshape(x, (tf.shape(x)[0], -1)),
    "a function of its own": lambda layer, x, token, table: x + numbered(tf.shape(x)[1]),
    "merged in a layer": lambda layer, x, token, table: layer.merged(
        [x, tf.broadcast_to(token, tf.shape(x))]
    ),
}
RAW = {
    "function": lambda layer, x, token, table: doubled(layer.inner(x)) + token,
    "relu": lambda layer, x, token, table: tf.nn.relu(layer.inner(x)),
    "gelu": lambda layer, x, token, table: tf.nn.gelu(layer.inner(x)),
    "silu": lambda layer, x, token, table: tf.nn.silu(layer.inner(x)),
    "mean": lambda layer, x, token, table: tf.reduce_mean(x, axis=1, keepdims=True),
    "max": lambda layer, x, token, table: tf.reduce_max(x, axis=-1),
    "slices": lambda layer, x, token, table: x[:, ::2] - x[:, 2:, 1:2],
    "pieces": lambda layer, x, token, table: tf.stack(tf.split(x, 2, -1)[::-1], 1),
    "padded": lambda layer, x, token, table: tf.pad(x, [[0, 0], [1, 2], [0, 0]]),
    "einsum": lambda layer, x, token, table: tf.einsum("btc,sc->bts", x, table),
    "chosen": lambda layer, x, token, table: tf.where(x > 0, x, 0.1 * x),
    "bounded": lambda layer, x, token, table: tf.minimum(tf.nn.relu6(x), tf.maximum(x, token)),
    "with itself": lambda layer, x, token, table: x * tf.sigmoid(layer.inner(x)) + x / 2.0,
}


IDIOMS = {**WITH_SIZES, **RAW}


def sequence_network(*functions):
    """One layer for each function, side by side."""
    keras.utils.set_random_seed(3)
    x = keras.Input((5, 6))
    embedded = layers.Dense(6, name="embedded")(x)
    found = [layers.Flatten()(Calls(function)(embedded)) for function in functions]
    return keras.Model(
        x, layers.Dense(3)(layers.Concatenate()(found) if len(found) > 1 else found[0])
    )


@pytest.mark.slow
@all_methods
@pytest.mark.parametrize("name", IDIOMS)
def test_each_is_followed_as_the_reference_does(name, method, rng, plain_graphs):
    model = sequence_network(IDIOMS[name])
    assert_right(model, rng.normal(size=(2, 5, 6)).astype(np.float32), method)


SOME = [
    "a function of its own",
    "class token",
    "chosen",
    "function",
    "gelu",
    "heads",
    "mean by hand",
    "merged in a layer",
    "two queries",
]


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=pytest.mark.slow) for m in METHODS[:2]] + METHODS[2:]
)
def test_some_are_followed_as_the_reference_does(method, rng, plain_graphs):
    model = sequence_network(*map(IDIOMS.get, SOME))
    assert_right(model, rng.normal(size=(1, 5, 6)).astype(np.float32), method)


def resized(x):
    return tf.image.resize(x, (5, 7))


def windows(x):
    return tf.nn.max_pool2d(tf.nn.avg_pool2d(x, 2, 1, "VALID"), 2, 2, "SAME")


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=pytest.mark.slow) for m in METHODS[:2]] + METHODS[2:]
)
@pytest.mark.parametrize("function", [resized, pytest.param(windows, marks=pytest.mark.slow)])
def test_pictures(function, method, rng, plain_graphs):
    image = keras.Input((6, 8, 2))
    shape = function(tf.zeros((1, 6, 8, 3))).shape[1:]
    y = layers.Conv2D(3, 3, padding="same")(image)
    y = layers.Lambda(function, output_shape=tuple(shape))(y)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(y)))
    assert_right(model, rng.normal(size=(1, 6, 8, 2)).astype(np.float32), method)


SLOW = ["bounded", "positions"]


def test_a_layer_keeps_nothing_of_being_traced(rng):
    model = sequence_network(heads)
    call, relu = keras.layers.Layer.__call__, tf.nn.relu
    BacktrackExplainer(model).explain(rng.normal(size=(1, 5, 6)))
    assert keras.layers.Layer.__call__ is call
    assert tf.nn.relu is relu


@pytest.mark.parametrize(
    "name", ["class token", "einsum", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)]
)
def test_changed_variables_are_followed_at_once(name, rng):
    """What an operation reads of variables is read anew each time."""
    model, x = sequence_network(IDIOMS[name]), rng.normal(size=(2, 5, 6)).astype(np.float32)
    explainer = BacktrackExplainer(model, contrast=False)
    explainer.explain(x)
    model.set_weights([3.0 - 2.0 * w for w in model.get_weights()])
    found, want = explainer.explain(x), BacktrackExplainer(model, contrast=False).explain(x)
    np.testing.assert_allclose(found.scores, model.predict(x, verbose=0).max(-1), rtol=1e-5)
    np.testing.assert_allclose(found.lost, want.lost, atol=1e-6)
    for i in range(2):
        np.testing.assert_allclose(found.mass[i], want.mass[i], atol=1e-6)


@all_methods
def test_positions_are_no_unit_s_doing(method, rng):
    """They are added as a bias is: nothing is lost to them, however large they are."""
    x = rng.normal(size=(2, 5, 6)).astype(np.float32)
    model = sequence_network(IDIOMS["merged in a layer"])
    explainer = BacktrackExplainer(model, method=method, contrast=False, down_to="embedded")
    before = explainer.explain(x).lost
    token = next(w for w in model.weights if tuple(w.shape) == (1, 1, 6))
    token.assign(token + 100.0)
    after = explainer.explain(x)
    assert after.lost.max() < 1
    np.testing.assert_allclose(after.lost, before, atol=1e-5)


class Subclassed(keras.Model):
    """TensorFlow's operations and sizes in a model's own `call`."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = layers.Conv2D(4, 3), layers.Dense(3)

    def call(self, x):
        x = tf.nn.relu(self.conv(x))
        b, h, w, c = tf.unstack(tf.shape(x))
        return self.head(tf.reduce_mean(tf.reshape(x, (b, h * w, c)), 1))


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=pytest.mark.slow) for m in METHODS[:2]] + METHODS[2:]
)
def test_subclassed_model(method, rng, plain_graphs):
    model = Subclassed()
    x = rng.normal(size=(2, 6, 7, 2)).astype(np.float32)
    model(x)
    assert_right(model, x, method)
    assert "Conv2D" in BacktrackExplainer(model).summary()


class Sums(layers.Layer):
    """What has no rule is told of."""

    def call(self, x):
        return tf.math.cumprod(x, 1) + tf.math.igamma(1.0, tf.abs(x))


class Numbers(layers.Layer):
    """Asks for the input's own numbers."""

    def call(self, x):
        if float(tf.reduce_sum(x)) > 1e9:
            return -x
        return x

    def compute_output_shape(self, shape):
        return shape


class Fewer(layers.Layer):
    """Returns less than it says."""

    def call(self, x):
        return x, None

    def compute_output_shape(self, shape):
        return shape, shape


@pytest.mark.skipif(not KERAS_3, reason="Keras 2.15 runs the layer instead of asking it")
def test_a_layer_that_returns_less_than_it_says():
    x = keras.Input((5, 6))
    model = keras.Model(x, layers.Dense(3)(Fewer()(x)[0]))
    with pytest.raises(UnsupportedLayerError, match="returns 1 tensors, but was said to return 2"):
        BacktrackExplainer(model)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Sums, "uses operations without a rule: .*'igamma'"),
        (Numbers, r"cannot be followed.*line \d+ of .*test_traced_layers.py: if float"),
    ],
)
def test_the_reason_is_told(layer, said):
    x = keras.Input((5, 6))
    y = layer(dynamic=True)(x) if not KERAS_3 and layer is Numbers else layer()(x)
    model = keras.Model(x, layers.Dense(3)(y))
    with pytest.raises(UnsupportedLayerError, match=said):
        BacktrackExplainer(model)
