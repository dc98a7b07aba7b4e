"""What comes from comparisons alone weighs, and is not followed; mass that gets there is lost."""

import numpy as np
import pytest
import tensorflow as tf
from networks import assert_equals_reference, layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import KERAS_3, keras
from keras_backtrack.propagation.limits import Limits
from keras_backtrack.rules import followed, read_model

METHODS = ["viterbi", "posterior", "backtrack"]
all_methods = pytest.mark.parametrize("method", METHODS)


def is_above(x, bar=0.0):
    return keras.ops.cast(x > bar, "float32") if KERAS_3 else tf.cast(x > bar, tf.float32)


def where_above(x, one, other):
    return keras.ops.where(x > 0, one, other) if KERAS_3 else tf.where(x > 0, one, other)


def chain(image, kinds):
    """One block for each kind of step, with a convolution between."""
    x = image
    for kind in kinds:
        x = kind(layers.Conv2D(5, 2)(x))
    return layers.Dense(3)(layers.Flatten()(x))


def network(*kinds):
    keras.utils.set_random_seed(4)
    image = keras.Input((10, 9, 2))
    return keras.Model(image, chain(image, kinds))


def assert_same(e, other):
    for i in range(len(e)):
        np.testing.assert_array_equal(e.pixels[i], other.pixels[i])
        np.testing.assert_allclose(e.mass[i], other.mass[i], atol=1e-6)
    np.testing.assert_allclose(e.lost, other.lost, atol=1e-6)


RELUS = {
    "product": lambda x: x * is_above(x),
    "product turned round": lambda x: is_above(x) * x,
    "layer": lambda x: layers.Multiply()([x, is_above(x)]),
    "negation": lambda x: x * (1.0 - is_above(-x)),
    "two comparisons": lambda x: x * (is_above(x) * is_above(x, -1.0)),
    "numbers chosen": lambda x: x * where_above(x, 1.0, 0.0),
    "no gate": lambda x: is_above(x) * (x * is_above(x, -2.0)),
}


@pytest.mark.parametrize("method", ["viterbi", "backtrack"])
def test_a_product_with_a_comparison_is_followed_as_the_relu_it_is(method, rng):
    x = rng.normal(size=(2, 10, 9, 2)).astype(np.float32)
    compared, plain = network(*RELUS.values()), network(*[layers.ReLU() for _ in RELUS])
    found, want = (BacktrackExplainer(m, method=method).explain(x, 1) for m in (compared, plain))
    assert_same(found, want)
    assert found.lost.min() < 0.9


@pytest.mark.parametrize("kind", RELUS)
def test_the_comparison_is_the_gate(kind):
    graph = read_model(network(RELUS[kind]))
    relu = max((c for c in graph.calls if len(c.inputs) > 1), key=lambda c: c.outputs)
    (place,) = [i for i, follow in enumerate(followed(graph, relu)) if follow]
    assert relu.inputs[place] not in graph.switches


def test_a_sigmoid_beside_a_comparison_is_what_is_left_to_follow(rng):
    """Without the comparison, which is 1 everywhere, it is the only thing there."""
    x = rng.normal(size=(2, 10, 9, 2)).astype(np.float32)
    weighed = network(lambda x: layers.Activation("sigmoid")(x) * is_above(x, -1e6))
    plain = network(layers.Activation("sigmoid"))
    found, want = (BacktrackExplainer(m, contrast=False).explain(x, 1) for m in (weighed, plain))
    assert_same(found, want)


@all_methods
@pytest.mark.parametrize("contrast", [pytest.param(None, marks=pytest.mark.slow), 0.25])
@pytest.mark.parametrize("places", [(6,), pytest.param((8, 8, 3), marks=pytest.mark.slow)])
def test_nothing_is_behind_comparisons_alone(places, method, contrast, rng):
    values = keras.Input(places)
    h = is_above(layers.Dense(5)(values))
    model = keras.Model(values, layers.Dense(3)(layers.Flatten()(h)))
    e = BacktrackExplainer(model, method=method, contrast=contrast)
    e = e.explain(rng.normal(size=(3, *places)).astype(np.float32))
    np.testing.assert_allclose(e.lost, 1, atol=1e-6)
    assert all(len(mass) == 0 for mass in e.mass)


def test_what_comes_to_a_comparison_is_lost_by_hand():
    """y = h + 2·(h > 0) = 3 for h = x = 1: a third is followed, two thirds end."""
    values = keras.Input((1,))
    h = layers.Dense(1, use_bias=False, kernel_initializer="ones")(values)
    joined = layers.Concatenate()([h, is_above(h)])
    head = layers.Dense(1, use_bias=False)
    model = keras.Model(values, head(joined))
    head.set_weights([np.array([[1.0], [2.0]], np.float32)])
    e = BacktrackExplainer(model, method="posterior", contrast=False).explain(np.ones((1, 1)))
    np.testing.assert_allclose([e.mass[0].sum(), e.lost[0]], [1 / 3, 2 / 3], atol=1e-6)


SIDES = {
    "concatenated": lambda h: layers.Concatenate()([h, is_above(h)]),
    "added": lambda h: h + is_above(h),
    "counted": lambda h: h * layers.Dense(5, kernel_initializer="ones")(is_above(h)),
    "divided": lambda h: h + is_above(h) / (1.0 + layers.Activation("sigmoid")(h)),
}


@pytest.mark.parametrize(
    ("method", "contrast"),
    [
        *[("viterbi", None), ("backtrack", 0.25)],
        *[pytest.param(m, c, marks=pytest.mark.slow) for m in METHODS for c in (None, 0.25)],
    ],
)
def test_sides_that_are_lost_equal_the_reference(method, contrast, rng, plain_graphs):
    model = network(*SIDES.values())
    x = rng.normal(size=(1, 10, 9, 2)).astype(np.float32)
    limits = None if method == "posterior" else Limits(3, 2, 2, False)
    ask = {"method": method, "contrast": contrast}
    assert_equals_reference(model, x, np.array([[2]]), limits, **ask)
