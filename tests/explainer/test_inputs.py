"""Every kind of wrong input, and what is said about it."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers
from sequence_networks import transpose

from keras_backtrack import BacktrackExplainer, UnsupportedLayerError, UnsupportedModelError
from keras_backtrack.graph.compat import keras


@pytest.fixture(scope="module")
def explainer():
    image = keras.Input((6, 5, 3))
    x = layers.Flatten()(layers.Conv2D(2, 3)(image))
    return BacktrackExplainer(keras.Model(image, layers.Dense(4)(x)))


X = np.zeros((2, 6, 5, 3), np.float32)


def with_value(value):
    x = X.copy()
    x[1, 2, 3, 0] = value
    return x


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (with_value(np.nan), ValueError, r"finite.*Received: 1 NaN or infinite.*image\(s\) 1"),
        (with_value(np.inf), ValueError, r"finite.*Received: 1 NaN or infinite"),
        (X[..., 0], ValueError, r"shape \(batch, 6, 5, 3\).*Received: shape \(2, 6, 5\)"),
        (X[:, :5], ValueError, r"Received: shape \(2, 5, 5, 3\)"),
        (X[..., :1], ValueError, r"Received: shape \(2, 6, 5, 1\)"),
        (X[:0], ValueError, r"at least one image.*Received: shape \(0, 6, 5, 3\)"),
        (X.astype(str), TypeError, r"real numbers.*Received: dtype <U"),
        (X.astype(complex), TypeError, r"real numbers.*Received: dtype complex128"),
        ([X[0], X[0, 1:]], ValueError, r"one array.*Received: list of length 2"),
    ],
)
def test_images(explainer, x, error, message):
    with pytest.raises(error, match=message):
        explainer.explain(x)


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (4, ValueError, "from 0 to 3. Received: 4"),
        (-1, ValueError, "from 0 to 3. Received: -1"),
        ([0, 1, 2], ValueError, r"Received: shape \(3,\)"),
        ([[0, 0], [1, 2]], ValueError, "must differ"),
        ([[0, 1], [1]], ValueError, "same number K"),
        ("cat", TypeError, "Received: 'cat'"),
        (1.5, TypeError, "Received: 1.5"),
        (np.eye(4)[[0, 1]] * 0.5, ValueError, "single 1 in each row"),
        (np.eye(3)[[0, 1]], ValueError, r"Received: shape \(2, 3\)"),
    ],
)
def test_targets(explainer, targets, error, message):
    with pytest.raises(error, match=message):
        explainer.explain(X, targets)


@pytest.mark.parametrize("targets", [[2, 1], np.eye(4)[[2, 1]], np.eye(4, dtype=int)[[2, 1]]])
def test_the_ways_to_give_targets(explainer, targets):
    np.testing.assert_array_equal(explainer.explain(X, targets).targets, [2, 1])


def test_method(explainer):
    with pytest.raises(ValueError, match="'viterbi', 'posterior'.*Received: 'gradient'"):
        BacktrackExplainer(explainer.model, method="gradient")
    with pytest.raises(ValueError, match="needs method='viterbi'.*Received: method='posterior'"):
        BacktrackExplainer(explainer.model, method="posterior", include_bias=True)
    with pytest.raises(ValueError, match="no such layer.*Received: 'conv9'"):
        BacktrackExplainer(explainer.model, layers=["conv9"])


@pytest.mark.parametrize("limit", [{"top_n": 0}, {"channels": -1}, {"positions": 1.5}])
def test_limits(explainer, limit):
    with pytest.raises(ValueError, match="at least 1, or None for all. Received"):
        BacktrackExplainer(explainer.model, **limit)


def test_several_outputs_need_a_choice():
    image = keras.Input((4,))
    outputs = [layers.Dense(2, name="first")(image), layers.Dense(3, name="second")(image)]
    model = keras.Model(image, outputs)
    with pytest.raises(ValueError, match=r"2 outputs: choose one.*Received: output=None"):
        BacktrackExplainer(model)
    with pytest.raises(ValueError, match=r"no such output.*Received: output='third'"):
        BacktrackExplainer(model, output="third")
    e = BacktrackExplainer(model, output=1).explain(np.ones((1, 4)))
    assert e.layers == ["second"]


def test_unbuilt_model():
    with pytest.raises(ValueError, match="not built yet.*Received: unbuilt model"):
        BacktrackExplainer(keras.Sequential([layers.Dense(2)]))


class Choosy(keras.Model):
    """What its `call` does depends on numbers that are not known beforehand."""

    def call(self, x):
        return x if float(x[0, 0]) > 0 else -x


def test_subclassed_model_that_cannot_be_recorded():
    model = Choosy()
    with pytest.raises(ValueError, match="Call it once.*Received: unbuilt model"):
        BacktrackExplainer(model)
    model(np.ones((1, 3), np.float32))
    with pytest.raises(UnsupportedModelError, match="Functional API.*Received: model"):
        BacktrackExplainer(model)


def test_no_model():
    with pytest.raises(TypeError, match=r"keras.Model.*Received: 3"):
        BacktrackExplainer(3)


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


def test_network_that_answers_nan():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    kernel, bias = model.get_weights()
    kernel[1] = np.inf
    model.set_weights([kernel, bias])
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"output must be finite.*Received: .*image\(s\) 0, 1"):
        BacktrackExplainer(model).explain(x)


def test_views(explainer, tmp_path):
    e = explainer.explain(X)
    with pytest.raises(ValueError, match="no such layer.*Received: 'conv'"):
        e.nodes("conv")
    with pytest.raises(ValueError, match="`sigma`.*Received: 0"):
        e.attention(sigma=0)
    with pytest.raises(ValueError, match="`threshold`.*Received: 2"):
        e.saliency(threshold=2)
    with pytest.raises(ValueError, match=r"saved as .json.*Received: .*e.bmp"):
        e.save(tmp_path / "e.bmp")
    with pytest.raises(ValueError, match="`images` must be the 2 explained images"):
        e.plot(X[:1])
    with pytest.raises(IndexError, match="Received: index 2"):
        e[2]


@pytest.mark.parametrize(
    ("x", "error"),
    [
        (np.ones((2, 4)), r"list of the model's 2 inputs.*Received: a ndarray"),
        ([np.ones((2, 4))], r"list of the model's 2 inputs.*Received: 1 of them"),
        ({"a": np.ones((2, 4))}, r"entry for each input.*Received: a dict of \['a'\]"),
        ([np.ones((2, 4)), np.ones((3, 3))], r"equally many rows. Received: 2 for 'a', 3 for 'b'"),
        ([np.ones((2, 4)), np.full((2, 3), np.nan)], r"finite numbers.*Received"),
    ],
)
def test_several_inputs(x, error):
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    model = keras.Model([a, b], layers.Dense(2)(layers.Concatenate()([a, b])))
    with pytest.raises(ValueError, match=error):
        BacktrackExplainer(model).explain(x)


def test_an_input_that_does_not_exist():
    image = keras.Input((4,), name="a")
    e = BacktrackExplainer(keras.Model(image, layers.Dense(2)(image))).explain(np.ones((1, 4)))
    with pytest.raises(ValueError, match=r"inputs are \['a'\]. Received: 'b'"):
        e.of("b")


def test_a_model_that_mixes_the_images_of_a_batch():
    image = keras.Input((4, 3))
    model = keras.Model(image, layers.Dense(2)(transpose(image, (1, 0, 2))))
    with pytest.raises(UnsupportedModelError, match=r"one row for each image.*Received"):
        BacktrackExplainer(model).explain(np.ones((2, 4, 3)), 0)
