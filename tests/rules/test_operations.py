"""Activations that are functions, and bare operations, as models use them."""

import numpy as np
import pytest
import tensorflow as tf
from networks import assert_equals_reference, layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import KERAS_3, keras
from keras_backtrack.propagation.limits import Limits

pytestmark = pytest.mark.usefixtures("plain_graphs")
ops = keras.ops if KERAS_3 else None
only_keras_3 = pytest.mark.skipif(not KERAS_3, reason="operations of Keras 3")


def some_everyday(made, *names):
    """A test for each, those not named among the slow ones."""
    slow = {name: () if name in names else pytest.mark.slow for name in made}
    cases = [pytest.param(make, id=name, marks=slow[name]) for name, make in made.items()]
    return pytest.mark.parametrize("make", cases)


def check(model, x):
    """Best and all paths, node for node; and scores are the model's."""
    x = x.astype(tf.as_dtype(model.inputs[0].dtype).as_numpy_dtype)
    targets = np.array([0, 2])
    few = Limits(20, 2, 2, False)
    assert_equals_reference(model, x, targets, few)
    assert_equals_reference(model, x, targets, None)
    e = BacktrackExplainer(model, method="viterbi", contrast=False).explain(x)
    np.testing.assert_allclose(e.scores, np.max(model.predict(x, verbose=0), 1), rtol=1e-4)


def swish_like(x):
    return x * keras.activations.sigmoid(1.7 * x)


def by_keras(x):
    return keras.activations.relu(x, max_value=2.0) * 3 - 1


ACTIVATIONS = {
    "a layer": lambda: layers.PReLU(alpha_initializer="ones"),
    "a product": lambda: swish_like,
    "with settings": lambda: by_keras,
}
if KERAS_3:
    ACTIVATIONS |= {
        "ops.gelu": lambda: ops.gelu,
        "ops.silu": lambda: ops.silu,
        "gelu_approximate": lambda: lambda x: ops.gelu(x, approximate=True),
        "erf": lambda: lambda x: 0.5 * x * (1 + ops.erf(x / 2**0.5)),
        "square": lambda: lambda x: ops.relu(x) ** 2,
    }
else:
    ACTIVATIONS["tf.nn"] = lambda: lambda x: tf.nn.gelu(x, approximate=True)


@some_everyday(ACTIVATIONS, "a layer", "a product")
def test_activations_that_are_functions(make, rng):
    image = keras.Input((7, 6, 3))
    x = layers.Conv2D(4, 3, activation=make())(image)
    x = layers.Activation(make())(x)
    x = layers.Dense(5, activation=make())(layers.Flatten()(x))
    check(keras.Model(image, layers.Dense(3)(x)), rng.normal(size=(2, 7, 6, 3)))


def test_the_model_keeps_its_activation():
    layer = layers.Dense(3, activation=swish_like)
    model = keras.Sequential([keras.Input((4,)), layer])
    nodes = len(layer._inbound_nodes)
    BacktrackExplainer(model).explain(np.ones((1, 4)))
    assert layer.activation is swish_like and len(layer._inbound_nodes) == nodes


def picture_network(make):
    def build(rng):
        image = keras.Input((6, 8, 4))
        x = make(layers.Conv2D(4, 1)(image), rng)
        return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))

    return build


def generalised_mean(x, rng):
    power = keras.Variable(3.0)
    x = ops.power(ops.maximum(x, 1e-3), power)
    return ops.power(ops.mean(x, axis=(1, 2), keepdims=True), 1 / power)


class Standardised(layers.Conv2D):
    """Its kernel has mean 0 and deviation 1, as that of weight standardisation."""

    def call(self, inputs):
        mean, variance = ops.moments(self.kernel, axes=(0, 1, 2), keepdims=True)
        kernel = (self.kernel - mean) / ops.sqrt(variance + 1e-5)
        outputs = ops.conv(inputs, kernel, strides=list(self.strides), padding=self.padding)
        return ops.add(outputs, self.bias)


OPERATIONS = {
    "conv": lambda x, rng: ops.conv(
        x, rng.normal(size=(3, 3, 4, 6)).astype("float32"), strides=2, padding="same"
    ),
    "depthwise_conv": lambda x, rng: ops.depthwise_conv(
        x, rng.normal(size=(3, 3, 4, 2)).astype("float32")
    ),
    "max_pool": lambda x, rng: ops.max_pool(x, 2, 2, "same"),
    "average_pool": lambda x, rng: ops.average_pool(x, (3, 2), 1),
    "resize": lambda x, rng: ops.image.resize(x, (12, 16)),
    "resize nearest": lambda x, rng: ops.image.resize(x, (3, 4), "nearest"),
    "square": lambda x, rng: x**2,
    "power": lambda x, rng: ops.power(x, np.array([1, 2, 3, 4], "float32")),
    "falling power": lambda x, rng: ops.power(ops.abs(x) + 1, -0.5),
    "of a number": lambda x, rng: ops.power(0.5, x),
    "generalised mean": generalised_mean,
    "glu": lambda x, rng: ops.glu(x, 2),
    "sign": lambda x, rng: x * ops.sign(x),
    "rot90": lambda x, rng: ops.rot90(x, 1, (1, 2)),
    "triu": lambda x, rng: ops.triu(x),
    "standardised": lambda x, rng: Standardised(3, 3, strides=2, padding="same")(x),
}


@only_keras_3
@some_everyday(OPERATIONS, "conv", "max_pool", "power", "glu")
def test_operations(make, rng):
    check(picture_network(make)(rng), rng.normal(size=(2, 6, 8, 4)))


TENSORFLOW = {
    "conv2d": lambda x, rng: tf.nn.conv2d(
        x, rng.normal(size=(3, 3, 4, 5)).astype("float32"), [1, 2, 2, 1], "SAME"
    ),
    "max_pool2d": lambda x, rng: tf.nn.max_pool2d(x, 2, 2, "VALID"),
    "avg_pool2d": lambda x, rng: tf.nn.avg_pool2d(x, [2, 3], 1, "SAME"),
    "resize": lambda x, rng: tf.image.resize(x, (12, 16)),
    "power": lambda x, rng: x**2,
}


@pytest.mark.skipif(KERAS_3, reason="TensorFlow's functions on symbolic tensors of Keras 2")
@some_everyday(TENSORFLOW, *TENSORFLOW)
def test_functions_of_tensorflow(make, rng):
    check(picture_network(make)(rng), rng.normal(size=(2, 6, 8, 4)))


@only_keras_3
def test_a_computed_kernel_follows_the_weights(rng):
    """The kernel that was worked out is of the weights as they are."""
    model = picture_network(OPERATIONS["standardised"])(rng)
    x = rng.normal(size=(2, 6, 8, 4)).astype("float32")
    explainer = BacktrackExplainer(model)
    explainer.explain(x, 0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    e = explainer.explain(x, 0)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 0], rtol=1e-4)


@only_keras_3
def test_one_hot(rng):
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Dense(4, activation="relu")(ops.one_hot(tokens, 7))
    model = keras.Model(tokens, layers.Dense(3)(layers.Flatten()(x)))
    check(model, rng.integers(0, 7, (2, 5)))
