"""What models take and return, and what their layers are called."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers

from keras_backtrack import BacktrackExplainer, explain_func, explain_mistakes
from keras_backtrack.callbacks import BacktrackCallback
from keras_backtrack.graph.compat import KERAS_3, keras

WALK = {"method": "viterbi", "contrast": False}
ONE, OTHER = (np.random.default_rng(i).normal(size=(2, 4)).astype("float32") for i in (1, 2))


class Two(keras.Model):
    """A subclassed model of two inputs, as its `call` unpacks them."""

    def __init__(self):
        super().__init__()
        self.photo, self.meta = layers.Dense(3), layers.Dense(3, use_bias=False)

    def made(self, photo, meta):
        return self.photo(photo) + self.meta(meta)


class OfDict(Two):
    def call(self, x):
        return self.made(x["photo"], x["meta"])


class OfList(Two):
    def call(self, x):
        return self.made(*x)


class OfDictWithSizes(Two):
    """Traced, since it asks how many images there are."""

    def call(self, x):
        zeros = tf.zeros((tf.shape(x["photo"])[0], 3))
        return {"prob": self.made(x["photo"], x["meta"]) + zeros, "side": self.photo(x["photo"])}


@pytest.mark.parametrize(
    ("kind", "given", "names", "output"),
    [
        (OfDict, {"photo": ONE, "meta": OTHER}, ["meta", "photo"], None),
        (OfDictWithSizes, {"photo": ONE, "meta": OTHER}, ["meta", "photo"], "prob"),
        (OfList, [ONE, OTHER], ["x_0", "x_1"], None),
        (OfList, (ONE, OTHER), ["x_0", "x_1"], None),
    ],
)
def test_subclassed_models_of_several_inputs(kind, given, names, output):
    model = kind()
    answers = model(given)
    answers = np.asarray(answers if output is None else answers[output])
    e = BacktrackExplainer(model, top_n=None, output=output, **WALK).explain(given, 1)
    assert e.inputs == names
    np.testing.assert_allclose(e.scores, answers[:, 1], rtol=1e-5)
    np.testing.assert_allclose(e.input_mass.sum(axis=1) + e.lost, 1, atol=1e-5)
    kernels = {"photo": model.photo.kernel, "meta": model.meta.kernel}
    kernels = [kernels.get(n, list(kernels.values())[i]) for i, n in enumerate(names)]
    rows = tf.nest.flatten(given)
    sides = [r[0] @ np.asarray(k)[:, 1] for r, k in zip(rows, kernels, strict=True)]
    assert e.input_mass[0].argmax() == np.argmax(sides)  # The branch that adds most takes all.


def test_an_input_has_the_key_of_the_model_s_dict():
    """Its layer's name will do as well, but where a key is what another layer is called."""
    photo, meta = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    x = layers.Concatenate()([photo, meta])
    model = keras.Model({"photo": photo, "meta": meta}, {"prob": layers.Dense(3, name="c")(x)})
    explainer = BacktrackExplainer(model, output="prob", **WALK)
    e = explainer.explain({"photo": ONE, "meta": OTHER})
    assert e.inputs == ["meta", "photo"] and e.of("photo").input == "photo"
    same = explainer.explain({"a": ONE, "b": OTHER})
    np.testing.assert_array_equal(e.input_mass, same.input_mass)
    model = keras.Model({"c": photo, "meta": meta}, layers.Dense(3, name="c")(x))
    e = BacktrackExplainer(model, **WALK).explain({"c": ONE, "meta": OTHER})
    assert sorted(e.inputs) == ["a", "b"] and e.layers[-1] == "c"


def test_mistakes_of_models_that_take_dicts():
    single = keras.Model({"photo": (i := keras.Input((4,), name="a"))}, layers.Dense(3)(i))
    several = OfDict()
    several({"photo": ONE, "meta": OTHER})
    for model, x in ((single, {"photo": ONE}), (several, {"photo": ONE, "meta": OTHER})):
        wrong = (np.argmax(model(x), axis=1) + np.array([1, 0])) % 3
        explainer = BacktrackExplainer(model, **WALK)
        found = explain_mistakes(explainer, x, wrong, batch_size=1)
        data = tf.data.Dataset.from_tensor_slices((x, wrong)).batch(2)
        same = explain_mistakes(explainer, data)
        assert found.index.tolist() == same.index.tolist() == [0] and found.seen == same.seen == 2
        np.testing.assert_allclose(found.explanation.mass[0], same.explanation.mass[0], atol=1e-6)


class Photos(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.flat, self.head = layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)

    def call(self, x):
        return self.head(self.flat(self.conv(x)))


def test_subclassed_models_in_all_faces():
    model, x = Photos(), np.random.default_rng(0).normal(size=(4, 6, 5, 2)).astype("float32")
    classes = np.asarray(model(x)).argmax(axis=1)
    assert explain_func(model, np.moveaxis(x, -1, 1), classes, **WALK).shape == (4, 6, 5)
    found = explain_mistakes(BacktrackExplainer(model, **WALK), x, (classes + 1) % 3)
    assert len(found.explanation) == 4
    watch = BacktrackCallback(tf.data.Dataset.from_tensor_slices(x).batch(2), **WALK)
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((4, 3)), callbacks=[watch], verbose=0)
    assert len(watch.records) == 2


@pytest.mark.skipif(not KERAS_3, reason="Keras 2.15 refuses such names itself")
@pytest.mark.parametrize("name", ["_x", ">x"])
def test_any_name_that_keras_takes(name):
    x = image = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, activation="relu", name=name)(x)
    model = keras.Model(image, layers.Dense(2, name=f"{name}d")(layers.Flatten()(x)))
    x = np.random.default_rng(0).normal(size=(1, 6, 6, 2))
    e = BacktrackExplainer(model, output=f"{name}d", **WALK).explain(x)
    assert len(e.nodes(name)[0]) and {name, f"{name}d"} < {*e.layers}
    np.testing.assert_allclose(e.input_mass.sum(axis=1) + e.lost, 1, atol=1e-5)


class Inner(layers.Layer):
    """Its own layers have such names, too, and what it does is traced."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.inner = layers.Dense(3, name="_inner" if KERAS_3 else "inner")

    def build(self, shape):
        self.inner.build(shape)
        self.built = True

    def compute_output_shape(self, shape):
        return (shape[0], 3)

    def call(self, x):
        return tf.nn.relu(self.inner(x)) + tf.zeros((tf.shape(x)[0], 3))


def test_names_inside_of_traced_layers():
    model = keras.Sequential([Inner(), layers.Dense(2)])
    model(ONE)
    e = BacktrackExplainer(model, **WALK).explain(ONE)
    np.testing.assert_allclose(e.input_mass.sum(axis=1) + e.lost, 1, atol=1e-5)


@pytest.mark.skipif(not KERAS_3, reason="Keras 2.15 gives outputs names of their own")
def test_shared_heads_have_one_name():
    photos, head = [keras.Input((4,), name=name) for name in "ab"], layers.Dense(3, name="head")
    model = keras.Model(photos, [head(photo) for photo in photos])
    with pytest.raises(ValueError, match=r"outputs have this name: choose by index.*'head'"):
        BacktrackExplainer(model, output="head")
    e = BacktrackExplainer(model, output=1, **WALK).explain([ONE, OTHER])
    np.testing.assert_allclose(e.input_mass, [[0, 1]] * 2, atol=1e-5)


class Choosy(keras.Model):
    """Built, but nobody knows of what: its `call` does not run on symbolic tensors."""

    def __init__(self):
        super().__init__()
        self.head = layers.Dense(3)

    def call(self, x):
        return self.head(x) if float(x[0, 0]) > 0 else self.head(-x)


@pytest.mark.skipif(not KERAS_3, reason="Keras 2.15 notes what a model is called with")
def test_a_built_model_that_was_called_with_nobody_knows_what():
    model = Choosy()
    model(ONE)
    with pytest.raises(ValueError, match=r"is built, but.*model.build\(input_shape\).*Received"):
        BacktrackExplainer(model)


@pytest.mark.skipif(KERAS_3, reason="graph models of Keras 3 ask for no sizes")
def test_a_graph_model_that_asks_for_sizes_by_its_keys():
    photo = keras.Input((6,), name="first")
    x = layers.Dense(4)(tf.reshape(photo, (tf.shape(photo)[0], 2, 3)))
    x = layers.Flatten()(x + tf.zeros((tf.shape(x)[0], 2, 4)))
    model = keras.Model({"photo": photo}, {"prob": layers.Dense(2)(x), "other": layers.Dense(3)(x)})
    given = {"photo": np.ones((2, 6), np.float32)}
    e = BacktrackExplainer(model, output="prob").explain(given, 1)
    assert e.inputs == ["photo"]
    np.testing.assert_allclose(e.scores, model.predict(given, verbose=0)["prob"][:, 1], rtol=1e-4)
