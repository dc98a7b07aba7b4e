"""Layers without a rule, served by their gradient."""

import numpy as np
import pytest
import tensorflow as tf

from keras_backtrack import BacktrackExplainer, UnsupportedLayerError, UnsupportedModelError
from keras_backtrack.graph.compat import keras
from keras_backtrack.graph.recording import record_call
from keras_backtrack.rules import registry

layers = keras.layers

LINEAR = [
    (layers.Dense(4), (6, 3)),
    (layers.Conv2D(3, 3, strides=2, padding="same"), (7, 6, 2)),
    (layers.Conv2DTranspose(3, 3, strides=2), (4, 4, 2)),
    (layers.DepthwiseConv2D(3), (6, 6, 2)),
    (layers.AveragePooling2D(2), (6, 6, 2)),
    (layers.GlobalAveragePooling2D(), (5, 4, 3)),
    (layers.ZeroPadding2D(1), (4, 4, 2)),
    (layers.EinsumDense("abc,cde->abde", (6, 2, 3)), (6, 4)),
    (layers.UpSampling2D(2, interpolation="bilinear"), (4, 4, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), LINEAR, ids=lambda v: getattr(v, "name", ""))
def test_gradient_is_the_written_rule(layer, shape, monkeypatch, rng):
    """All contributions of a linear layer are W·A, whoever finds them."""
    x = image = keras.Input(shape)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(layer(x))))
    x = rng.normal(size=(2, *shape))
    written = BacktrackExplainer(model, method="posterior").explain(x)
    for cls in [cls for cls in registry._RULES if isinstance(layer, cls)]:
        monkeypatch.delitem(registry._RULES, cls)
    # Or layers would be recorded as these.
    monkeypatch.setattr(registry, "_OPERATIONS", {})
    monkeypatch.setattr("keras_backtrack.graph.from_keras.traced", record_call)
    monkeypatch.setattr("keras_backtrack.graph.from_keras.as_layer", lambda *call: None)
    explainer = BacktrackExplainer(model, method="posterior", fallback="gradient")
    assert "fallback.gradient" in explainer.summary()
    served = explainer.explain(x)
    for i in range(2):
        np.testing.assert_array_equal(served.pixels[i], written.pixels[i])
        np.testing.assert_allclose(served.mass[i], written.mass[i], atol=1e-5)


def difference(x, y):
    """One operation to TensorFlow, of which nothing is known: a loop."""
    start = [0, tf.zeros_like(x)]
    return tf.while_loop(lambda i, d: i < 1, lambda i, d: (i + 1, x * 2.0 - y), start)[1]


class Wave(layers.Layer):
    """Nothing that could be recorded, and one operation to TensorFlow."""

    def call(self, x, y):
        return tf.cond(tf.reduce_all(x > -9.0), lambda: x * 2.0 - y, lambda: x)

    def compute_output_shape(self, x, y):
        return x


def wave():
    first, second = keras.Input((4,)), keras.Input((4,))
    shape = (None, 4)
    layer = Wave()
    layer.compute_output_spec = lambda x, y: keras.KerasTensor(shape, "float32")
    return keras.Model([first, second], layer(first, second))


@pytest.mark.skipif(not hasattr(keras, "KerasTensor"), reason="Keras 2.15 records anything")
@pytest.mark.parametrize("method", ["viterbi", "posterior"])
def test_two_inputs(method):
    model, x = wave(), [np.ones((1, 4)), -np.ones((1, 4))]
    with pytest.raises(UnsupportedLayerError, match="fallback='gradient'.*Received"):
        BacktrackExplainer(model, method=method)
    e = BacktrackExplainer(model, method=method, fallback="gradient").explain(x, 2)
    np.testing.assert_allclose(e.input_mass, [[2 / 3, 1 / 3]], atol=1e-6)
    assert e.pixels[0].tolist() == [[2]] and e.of(e.inputs[1]).pixels[0].tolist() == [[2]]


def test_unknown_fallback():
    with pytest.raises(ValueError, match="'gradient' or None. Received: 'lime'"):
        BacktrackExplainer(wave() if hasattr(keras, "KerasTensor") else None, fallback="lime")


class Whole(keras.Model):
    """What its `call` does is one piece to TensorFlow: a loop."""

    def __init__(self):
        super().__init__()
        self.kernel = self.add_weight(name="kernel", shape=(4, 3), initializer="glorot_uniform")

    def build(self, shape):
        self.built = True

    def call(self, x):
        start = tf.zeros_like(tf.matmul(x, self.kernel))
        step = lambda i, y: (i + 1, y + tf.matmul(x, self.kernel))  # noqa: E731
        return tf.while_loop(lambda i, y: i < 2, step, [0, start])[1]


@pytest.mark.parametrize("method", ["viterbi", "posterior"])
def test_a_model_s_own_call(method, rng):
    model, x = Whole(), rng.normal(size=(2, 4)).astype("float32")
    answers = np.asarray(model(x))
    with pytest.raises(
        UnsupportedModelError, match=r"While \(line \d+ of .*tf.while_loop.*as a whole"
    ):
        BacktrackExplainer(model)
    with pytest.warns(UserWarning, match=r"explained as a whole.*tf.while_loop"):
        explainer = BacktrackExplainer(
            model, None, method=method, contrast=False, fallback="gradient"
        )
    e = explainer.explain(x, 1)
    np.testing.assert_allclose(e.scores, answers[:, 1], rtol=1e-5)
    for row, values in enumerate(x):
        want = np.maximum(values * np.asarray(model.kernel)[:, 1], 0)
        got = np.zeros(4)
        got[e.pixels[row][:, 0]] = e.mass[row]
        np.testing.assert_allclose(got, want / want.sum(), atol=1e-6)


class Constant(layers.Layer):
    """Uses no more of its input than the sizes, and TensorFlow cannot tell."""

    def call(self, x):
        sizes = tf.shape(x)
        y = tf.numpy_function(lambda s: np.full(s, 2.0, np.float32), [sizes], tf.float32)
        return tf.ensure_shape(y, x.shape)

    def compute_output_shape(self, shape):
        return shape


class Rounded(Constant):
    """As one piece, without a gradient."""

    def call(self, x):
        return tf.ensure_shape(tf.numpy_function(np.round, [x], tf.float32), x.shape)


@pytest.mark.parametrize("contrast", [False, True])
@pytest.mark.parametrize("method", ["viterbi", "posterior"])
def test_a_layer_without_a_gradient_ends_the_network(method, contrast):
    image = keras.Input((4,))
    model = keras.Model(image, Rounded()(layers.Dense(3, kernel_initializer="ones")(image)))
    settings = {"method": method, "contrast": contrast, "fallback": "gradient"}
    explainer = BacktrackExplainer(model, **settings)
    with pytest.warns(UserWarning, match=r"Rounded\) has no gradient.*counts as lost"):
        e = explainer.explain(np.ones((2, 4)), 1)
    assert e.scores.tolist() == [4, 4] and e.lost.tolist() == [1, 1] and not e.input_mass.any()


@pytest.mark.parametrize("method", ["viterbi", "posterior"])
def test_a_constant_beside_the_evidence(method):
    """1 of the image and 2 of the constant: what the constant adds is lost."""
    image = keras.Input((4,))
    total = layers.Add()([layers.Identity()(image), Constant()(image)])
    model = keras.Model(image, layers.Dense(2, kernel_initializer="ones")(total))
    settings = {"method": method, "contrast": False, "fallback": "gradient"}
    e = BacktrackExplainer(model, **settings).explain(np.ones((1, 4)), 1)
    np.testing.assert_allclose(e.lost, [1.0 if method == "viterbi" else 2 / 3], atol=1e-6)
    np.testing.assert_allclose(e.input_mass.sum(axis=1) + e.lost, 1, atol=1e-6)


class WithTotal(layers.Layer):
    """A number for the whole batch beside its output, as losses and statistics are."""

    def call(self, x):
        return tf.cumsum(x, axis=1), tf.reduce_sum(x)

    def compute_output_shape(self, shape):
        return shape, ()


@pytest.mark.parametrize("contrast", [False, True])
def test_an_extra_output_of_no_rows(contrast):
    image = keras.Input((3,))
    sums, total = WithTotal(name="own")(layers.Dense(3, kernel_initializer="identity")(image))
    model = keras.Model(image, [sums, total])
    settings = {"fallback": "gradient", "contrast": contrast}
    e = BacktrackExplainer(model, output=0, **settings).explain([[1.0, 2.0, 3.0]], 2)
    np.testing.assert_allclose(e.scores, [6])
    np.testing.assert_allclose(e.input_mass.sum(axis=1) + e.lost, 1, atol=1e-6)
    if not contrast:
        np.testing.assert_allclose(e.mass[0], [1 / 6, 2 / 6, 3 / 6], atol=1e-6)
    with pytest.raises(UnsupportedModelError, match=r"one row for each image.*shape \(\)"):
        BacktrackExplainer(model, output=1, **settings)
    with pytest.raises(UnsupportedModelError, match="'own/sum' must have one row for each image"):
        BacktrackExplainer(keras.Model(image, layers.Dense(2)(sums) * total), **settings)
