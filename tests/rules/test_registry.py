"""Which rule serves a layer."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from networks import layers

from keras_backtrack import (
    BacktrackExplainer,
    Branches,
    UnsupportedLayerError,
    register_operation,
    register_rule,
    same_place,
    weighted_sum,
)
from keras_backtrack.graph.compat import KERAS_3, keras
from keras_backtrack.rules import registry


def test_all_unsupported_layers_are_listed():
    class Odd(layers.Layer):
        def call(self, x):
            return tf.math.cumprod(x, axis=1)

    class Overriding(layers.Dense):
        def call(self, x):
            return tf.math.cumprod(super().call(x), axis=1)

    image = keras.Input((4,))
    x = Overriding(3, name="overriding")(Odd(name="odd")(image))
    x = layers.Dense(2, activation=lambda x: tf.math.cumprod(x, axis=1), name="lambda")(x)
    with pytest.raises(UnsupportedLayerError) as caught:
        BacktrackExplainer(keras.Model(image, x))
    message = str(caught.value)
    assert "register_rule" in message
    assert "call 1 of 3: 'odd'" in message and "Odd): no rule for this class" in message
    assert "its `call` uses operations without a rule: ['cumprod' (line " in message
    assert "return tf.math.cumprod(x, axis=1))]" in message
    assert "call 2 of 3: 'overriding'" in message and "overrides `call` of Dense" in message
    assert "call 3 of 3: 'lambda'" in message and "not known to act on each unit" in message


def test_register_rule_serves_a_class_and_its_subclasses():
    class ChannelScale(layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer="ones")

        def call(self, x):
            return x * self.factor

    class Finer(ChannelScale):
        pass

    @register_rule(ChannelScale)
    def channel_scale(call):
        return same_place(scale=tf.convert_to_tensor(call.layer.factor))

    image = keras.Input((3,))
    scale, dense = Finer(), layers.Dense(1, use_bias=False)
    model = keras.Model(image, dense(scale(image)))
    scale.set_weights([np.array([1, -1, 2], np.float32)])
    dense.set_weights([np.array([[1], [2], [1]], np.float32)])
    e = BacktrackExplainer(model).explain(np.array([[1.0, -2.0, -1.0]]))
    nodes = e.nodes(model.inputs[0].name.split(":")[0])
    assert nodes[0].tolist() == [[0], [1]] and nodes.sign[0].tolist() == [1, -1]
    np.testing.assert_allclose(nodes.mass[0], [0.2, 0.8], rtol=1e-6)


def test_register_rule_wants_classes():
    with pytest.raises(TypeError, match="takes layer classes.*Received"):
        register_rule("Dense")


METHODS = ("viterbi", "posterior", "backtrack")


def gated(product):
    """A product of what comes from one input and of a gate that comes from another."""
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((3,), name="value"), keras.Input((3,), name="weight")]
    linear = layers.Dense(4, name="linear")(inputs[0])
    gate = layers.Dense(4, activation="sigmoid", name="gate")(inputs[1])
    return keras.Model(inputs, layers.Dense(3, name="classes")(product([linear, gate])))


@pytest.mark.parametrize("method", METHODS)
def test_a_subclass_of_a_product_knows_gates(method, rng):
    class MyProduct(layers.Multiply):
        pass

    x, names = [rng.normal(size=(3, 3)) for _ in range(2)], ["linear", "product"]
    models = [gated(cls(name="product")) for cls in (layers.Multiply, MyProduct)]
    explainers = [
        BacktrackExplainer(model, method=method, contrast=False, layers=names) for model in models
    ]
    want, e = (explainer.explain(x, [[0, 1, 2]] * 3) for explainer in explainers)
    assert e.input_mass[:, 0].any() and not e.input_mass[:, 1].any()
    np.testing.assert_allclose(e.input_mass[:, 0] + e.lost, 1, atol=1e-5)
    for name in ("value", *names):
        nodes, others = e.nodes(name), want.nodes(name)
        for i in range(len(e)):
            np.testing.assert_array_equal(nodes[i], others[i])
            np.testing.assert_array_equal(nodes.sign[i], others.sign[i])
            np.testing.assert_array_equal(nodes.mass[i], others.mass[i])


def recorded():
    class Divide(layers.Layer):
        def call(self, both):
            return both[0] + both[1]

    return Divide()


def with_a_rule():
    class Divide(layers.Add):
        pass

    return Divide()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("divide", [recorded, with_a_rule])
def test_what_a_class_is_called_says_nothing(divide, method):
    """Of the operation `divide` only the first operand is followed."""
    inputs = [keras.Input((3,)), keras.Input((3,))]
    head = layers.Dense(2, kernel_initializer="ones")
    model = keras.Model(inputs, head(divide()(inputs)))
    ones = np.ones((1, 3))
    x = [np.concatenate([ones, 2 * ones]), np.concatenate([2 * ones, ones])]
    e = BacktrackExplainer(model, None, None, None, method=method, contrast=False).explain(x, 0)
    # Single paths take the larger addend, all of them both.
    want = [[0, 1], [1, 0]] if method == "viterbi" else [[1 / 3, 2 / 3], [2 / 3, 1 / 3]]
    np.testing.assert_allclose(e.input_mass, want, atol=1e-6)
    np.testing.assert_allclose(e.lost, 0, atol=1e-6)


class Mixed(layers.Layer):
    """A layer that cannot be recorded in Keras 3."""

    def call(self, x, y):
        return tf.add(x, y)


@pytest.mark.parametrize("method", ["viterbi", "posterior"])
def test_mass_for_a_constant_is_an_error(method, monkeypatch):
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))

    @register_rule(Mixed, follows=[0])
    def mixed(call):
        return Branches(lambda sign, values: [sign * value for value in values])

    a, b = keras.Input((3,)), keras.Input((3,))
    explainer = BacktrackExplainer(
        keras.Model([a, b], Mixed()(a, b)), method=method, contrast=False
    )
    with pytest.raises(
        RuntimeError, match=r"must add up to 1.*not followed.*Received: 0.* for dec"
    ):
        explainer.explain([np.ones((1, 3)), 2 * np.ones((1, 3))], 0)


def test_wrong_places_to_follow(monkeypatch):
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))
    register_rule(Mixed, follows=[2])(lambda call: same_place())
    a, b = keras.Input((3,)), keras.Input((3,))
    with pytest.raises(ValueError, match=r"`follows` must name inputs.*has 2. Received: \[2\]"):
        BacktrackExplainer(keras.Model([a, b], Mixed()(a, b)))


def test_a_weighted_sum_has_one_input(monkeypatch):
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))
    register_rule(Mixed)(lambda call: weighted_sum(call, tf.multiply, tf.ones([])))
    a, b = keras.Input((3,)), keras.Input((3,))
    with pytest.raises(ValueError, match="a sum over one input.*Received: 2 followed inputs"):
        BacktrackExplainer(keras.Model([a, b], Mixed()(a, b)))


def test_summary_names_any_callable(monkeypatch):
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))
    register_rule(Mixed)(partial(lambda kind, call: kind(), same_place))
    a, b = keras.Input((3,)), keras.Input((3,))
    assert "partial" in BacktrackExplainer(keras.Model([a, b], Mixed()(a, b))).summary()


class NoModule:
    """A rule that says nothing of where it is from."""

    __module__ = None

    def __call__(self, call):
        return same_place(scale=tf.constant([1.0, -1.0, 1.0]))


class Scale(layers.Layer):
    def call(self, x):
        return x * [2.0, -1.0, 1.0]


@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
def test_a_rule_may_come_from_nowhere(method, monkeypatch):
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))
    x = image = keras.Input((3,))
    for rule in (
        NoModule(),
        partial(NoModule()),
        eval("lambda call: rule(call)", {"rule": NoModule()}),
    ):
        register_rule(Scale)(rule)
        x = layers.Dense(2, kernel_initializer="ones")(Scale()(image))
        explainer = BacktrackExplainer(keras.Model(image, x), method=method, contrast=False)
        assert explainer.summary()
        e = explainer.explain(np.float32([[1, -2, 3]]), 0)
        np.testing.assert_allclose(e.mass[0], np.float32([2, 2, 3]) / 7, rtol=1e-6)


if KERAS_3:

    class Relu(keras.Operation):
        """No ReLU, and no Keras's."""

        def call(self, x):
            return -keras.ops.relu(x) - 1.0

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    class Softmax(Relu):
        pass

else:

    class Relu(layers.Layer):
        """No operation, though it has what Keras's have."""

        symbol = "nn.relu"

        def call(self, x):
            return tf.math.cumprod(x, axis=1)

    class Softmax(Relu):
        symbol = "nn.softmax"


@pytest.mark.parametrize("kind", [Relu, Softmax])
def test_own_operations_are_not_keras_own(kind, monkeypatch):
    """Whatever their class is called."""
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))
    image = keras.Input((3,))
    dense = layers.Dense(1, kernel_initializer=keras.initializers.Constant([[-1], [2], [3]]))
    model = keras.Model(image, dense(kind()(image)))
    if KERAS_3:  # What it does is found out.
        assert "arithmetic." in BacktrackExplainer(model).summary()
    else:
        with pytest.raises(UnsupportedLayerError, match="this class"):
            BacktrackExplainer(model)

    @register_rule(Relu)
    def falls(call):
        return same_place(scale=-tf.ones(3))

    settings = {"contrast": False, "method": "viterbi"}
    e = BacktrackExplainer(model, **settings).explain(np.float32([[1, 2, 3]]), side="low")
    nodes = e.nodes(e.input)
    if KERAS_3:  # -x - 1 of 1, 2, 3 times -1, 2, 3: low due to the last two
        assert nodes[0].tolist() == [[1], [2]] and nodes.sign[0].tolist() == [1, 1]


@pytest.mark.parametrize("names", [(), (3,)])
def test_operations_are_registered_by_name(names):
    with pytest.raises(TypeError, match="takes names of operations.*Received"):
        register_operation(*names)
