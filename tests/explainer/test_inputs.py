"""Every kind of wrong input and output, and what is said about it."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers
from sequence_networks import transpose
from small import explainer_of_four

from keras_backtrack import BacktrackExplainer, UnsupportedModelError
from keras_backtrack.graph.compat import keras


@pytest.fixture(scope="module")
def explainer():
    return explainer_of_four()


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
    ("call", "error", "message"),
    [
        (
            lambda it, e: it.explain(keras.Input((6, 5, 3))),
            TypeError,
            "no part of a model.*Received",
        ),
        (
            lambda it, e: tf.function(lambda x: it.explain(x).scores)(tf.constant(X)),
            RuntimeError,
            "outside of the tf.function.*Received",
        ),
        (lambda it, e: it.prepare(X, memory="1GB"), ValueError, "`memory`.*Received: '1GB'"),
        (lambda it, e: list(it.stream(None)), TypeError, "yield batches.*Received: None"),
        (lambda it, e: BacktrackExplainer(it.model, layers="conv"), TypeError, "Received: 'conv'"),
        (lambda it, e: e.attention("big"), ValueError, "`sigma`.*Received: 'big'"),
        (lambda it, e: e.saliency(sigma=-1), ValueError, "`sigma`.*Received: -1"),
        (lambda it, e: e.saliency(threshold="x"), ValueError, "`threshold`.*Received: 'x'"),
        (lambda it, e: e["a"], TypeError, "an int, a slice.*Received: 'a'"),
        (lambda it, e: e[1.5], TypeError, "an int, a slice.*Received: 1.5"),
        (lambda it, e: e.save(3), TypeError, "name of a file. Received: 3"),
        (lambda it, e: e.save("no/such/a.json"), FileNotFoundError, "folder.*Received.*a.json"),
    ],
)
def test_what_is_asked_in_a_wrong_way(explainer, call, error, message):
    with pytest.raises(error, match=message):
        call(explainer, explainer.explain(X))


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
    with pytest.raises(UnsupportedModelError, match=r"batch axis is not the first.*Received"):
        BacktrackExplainer(model).explain(np.ones((2, 4, 3)), 0)


@pytest.mark.parametrize("keys", [("photo", "table"), ("table", "photo")])
def test_keys_of_a_model_s_dicts(keys, rng):
    """As `predict` and `fit` take and return them, whatever the layers are called."""
    made = {"photo": keras.Input((8, 8, 1), name="a"), "table": keras.Input((3,), name="b")}
    x = layers.Concatenate()([layers.Flatten()(made["photo"]), made["table"]])
    outputs = {"prob": layers.Dense(4, name="c")(x), "other": layers.Dense(2, name="d")(x)}
    model = keras.Model({key: made[key] for key in keys}, outputs)
    given = {"photo": rng.normal(size=(2, 8, 8, 1)), "table": rng.normal(size=(2, 3))}
    answers = model.predict(given, verbose=0)
    for output in ("prob", "other"):
        e = BacktrackExplainer(model, output=output).explain(given)
        np.testing.assert_allclose(e.scores, answers[output].max(1), rtol=1e-5)
        by_name = BacktrackExplainer(model, output={"prob": "c", "other": "d"}[output])
        same = by_name.explain({"a": given["photo"], "b": given["table"]})
        np.testing.assert_array_equal(e.input_mass, same.input_mass)
    with pytest.raises(ValueError, match=r"no such output, a name of \['(prob|other)'.*'probs'"):
        BacktrackExplainer(model, output="probs")
    with pytest.raises(
        ValueError, match=r"each input of the model, \['(photo|table)'.*\['photo'\]"
    ):
        BacktrackExplainer(model, output="prob").explain({"photo": given["photo"]})


def test_the_keys_of_what_a_subclassed_model_returns(rng):
    class Named(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.other = layers.Dense(3), layers.Dense(2)

        def call(self, x):
            return {"one": self.one(x), "other": self.other(x)}

    model, x = Named(), rng.normal(size=(2, 5)).astype("float32")
    want = model(x)
    for key in ("one", "other"):
        e = BacktrackExplainer(model, output=key).explain(x)
        np.testing.assert_allclose(e.scores, np.max(want[key], 1), rtol=1e-5)
