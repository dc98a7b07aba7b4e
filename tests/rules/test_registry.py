"""Which rule serves a layer."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers

from keras_backtrack import (
    BacktrackExplainer,
    UnsupportedLayerError,
    register_rule,
    same_place,
)
from keras_backtrack.graph.compat import keras


def test_all_unsupported_layers_are_listed():
    class Odd(layers.Layer):
        def call(self, x):
            return tf.math.cumsum(x, axis=1)

    class Overriding(layers.Dense):
        def call(self, x):
            return super().call(x) ** 2

    image = keras.Input((4,))
    x = Overriding(3, name="overriding")(Odd(name="odd")(image))
    x = layers.Dense(2, activation=lambda x: -x, name="lambda")(x)
    with pytest.raises(UnsupportedLayerError) as caught:
        BacktrackExplainer(keras.Model(image, x))
    message = str(caught.value)
    assert "register_rule" in message
    assert "call 1 of 3: 'odd'" in message and "Odd): no rule for this class" in message
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
