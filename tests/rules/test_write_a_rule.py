"""docs/write-a-rule.md: its examples, executed as they stand there, do what it says."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from networks import layers

from keras_backtrack import BacktrackExplainer, register_rule, same_place
from keras_backtrack.graph.compat import keras
from keras_backtrack.rules import registry

PAGE = Path(__file__).parents[2] / "docs" / "write-a-rule.md"
METHODS = ["viterbi", "posterior"]


@pytest.fixture(scope="module")
def page():
    """What the blocks of the page define; other tests shall not see their rules."""
    kept = dict(registry._RULES), dict(registry._OPERATIONS)
    text = PAGE.read_text(encoding="utf-8")
    found = {"__name__": "write_a_rule"}
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        # Errors shall name the page's own lines.
        before = "\n" * text[: block.start(1)].count("\n")
        exec(compile(before + block[1], PAGE.name, "exec"), found)
    yield SimpleNamespace(**found)
    for rules, own in zip((registry._RULES, registry._OPERATIONS), kept, strict=True):
        rules.clear()
        rules.update(own)


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_same_nodes(got, want, layer, other=None):
    """Places, signs and masses, for every decision."""
    got, want = got.nodes(layer), want.nodes(other or layer)
    assert sum(map(len, got)) > 0
    for row in range(len(want)):
        np.testing.assert_array_equal(got[row], want[row])
        np.testing.assert_array_equal(got.sign[row], want.sign[row])
        np.testing.assert_allclose(got.mass[row], want.mass[row], atol=1e-6)


def assert_no_mass_is_missing(e):
    np.testing.assert_allclose(e.input_mass.sum(axis=1) + e.lost, 1, atol=1e-5)


def test_the_rules_that_serve(page):
    lines = [line.split() for line in page.explainer.summary().splitlines()]
    assert {line[1]: line[2] for line in lines} == {
        "ChannelScale": "write_a_rule.channel_scale",
        "Mirror": "reshaping.moved",
        "Maxout": "write_a_rule.maxout",
        "Flatten": "reshaping.reshape",
        "OwnDense": "write_a_rule.own_dense",
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "viterbi", "contrast": False, "top_n": None},
        {"method": "viterbi", "contrast": False, "top_n": 20},
        {"method": "viterbi", "contrast": False, "top_n": 2, "include_bias": True},
        {"method": "posterior", "contrast": False},
    ],
    ids=str,
)
def test_a_weighted_sum_is_the_built_in_rule(page, settings):
    """On every step of a sequence, with a ReLU on top, and as the last layer."""
    explained = []
    for kind in (lambda units, **kw: layers.Dense(units, "relu", **kw), page.OwnDense):
        x = signal = keras.Input((4, 3), name="signal")
        x = layers.Dense(6, activation="tanh", name="below")(x)
        x = layers.Flatten(name="flat")(kind(5, name="middle")(x))
        model = keras.Model(signal, kind(3, name="last")(x))
        for seed, weight in enumerate(model.weights):
            weight.assign(normal(weight.shape, seed))
        names = ["below", "middle", "flat", "last"]
        explainer = BacktrackExplainer(model, **settings, layers=names)
        explained.append(explainer.explain(normal((3, 4, 3)), [[0, 1]] * 3))
    want, got = explained
    for name in ("signal", *names):
        assert_same_nodes(got, want, name)
    np.testing.assert_allclose(got.lost, want.lost, atol=1e-6)
    assert_no_mass_is_missing(got)


# Each takes the page and inputs (4, 4, 2); returns what the page's layer makes of them, and what
# Keras makes of them.


def scaled(page, x):
    layer = page.ChannelScale()
    own = layer(x)
    layer.factor.assign([2.0, -1.0])
    return own, layers.Rescaling([2.0, -1.0])(x)


def mirrored(page, x):
    return page.Mirror()(x), x[:, :, ::-1]


def larger(page, x):
    return page.Maxout()(x), layers.Maximum()([x[..., :1], x[..., 1:]])


def blended(page, x, y):
    return page.Blend()(x, y), 2.0 * x - 0.5 * y


def gated(page, x, y):
    return page.Gated()(x, y), layers.Multiply()([x, layers.Activation("sigmoid")(y)])


def novel(page, x, y):
    return page.Novelty()(x, y)[0], layers.Subtract()([x, y])


def remembered(page, x, y):
    return page.Novelty()(x, y)[1], 0.75 * y + 0.25 * x


def novel_again(page, x, y):
    layer = page.Novelty()
    new = 0.75 * y + 0.25 * x
    return layer(*layer(x, y))[0], layers.Subtract()([layers.Subtract()([x, y]), new])


def totalled(page, x):
    rows = layers.Reshape((4, 8))(x)
    total = layers.Dense(4, use_bias=False)
    along = layers.Permute((2, 1))(total(layers.Permute((2, 1))(rows)))
    total.set_weights([np.triu(np.ones((4, 4)))])
    return page.Total()(rows), along


PAIRS = {
    1: [scaled, mirrored, larger, totalled],
    2: [blended, gated, novel, remembered, novel_again],
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("count", "pair"), [(n, pair) for n in PAIRS for pair in PAIRS[n]])
def test_equals_what_keras_has_for_it(page, count, pair, method, plain_graphs):
    inputs = [keras.Input((4, 4, 2), name=f"input{i}") for i in range(count)]
    last = layers.Dense(3)
    explained = []
    for made in pair(page, *inputs):
        model = keras.Model(inputs, last(layers.Flatten()(made)))
        explainer = BacktrackExplainer(model, method=method, fallback="gradient")
        x = [normal((2, 4, 4, 2), seed) for seed in range(count)]
        explained.append(explainer.explain(x if count > 1 else x[0], [[0, 1]] * 2))
    got, want = explained
    for name in got.inputs:
        if got.input_mass[:, got.inputs.index(name)].any():
            assert_same_nodes(got, want, name)
    np.testing.assert_allclose(got.input_mass, want.input_mass, atol=1e-6)
    assert_no_mass_is_missing(got)


@pytest.mark.parametrize("method", METHODS)
def test_moves_by_hand_go_where_they_say(page, method):
    """Of each pair of channels, (1, 3) and (5, 2), the larger."""
    image = keras.Input((1, 1, 4), name="image")
    last = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Model(image, last(layers.Flatten()(page.Maxout()(image))))
    e = BacktrackExplainer(model, method=method).explain(np.array([[[[1.0, 5.0, 3.0, 2.0]]]]))
    nodes = e.nodes("image")
    assert nodes[0].tolist() == [[0, 0, 1], [0, 0, 2]]
    np.testing.assert_allclose(nodes.mass[0], [5 / 8, 3 / 8], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_gate_gets_no_mass(page, method):
    value, gate = keras.Input((5,)), keras.Input((5,))
    model = keras.Model([value, gate], page.Gated()(value, gate))
    explainer = BacktrackExplainer(model, method=method, contrast=False)
    e = explainer.explain([normal((3, 5)), normal((3, 5), 1)], 2)
    np.testing.assert_allclose(e.input_mass, [[1, 0]] * 3)


@pytest.mark.parametrize("method", METHODS)
def test_a_changed_state_is_followed(page, method):
    """By the network and by the rule: what a scale below 0 turns is asked the opposite."""
    image, layer = keras.Input((2,), name="image"), page.RunningScale()
    last = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    explainer = BacktrackExplainer(keras.Model(image, last(layer(image))), method=method)
    e = explainer.explain(np.array([[1.0, 3.0]]))
    np.testing.assert_allclose(e.mass[0], [1 / 4, 3 / 4], atol=1e-6)
    for scale, mass in (([5.0, 1.0], [5 / 8, 3 / 8]), ([-9.0, 1.0], [1.0])):
        layer.scale.assign(scale)
        e = explainer.explain(np.array([[1.0, 3.0]]))
        np.testing.assert_allclose(e.mass[0], mass, atol=1e-6)
        assert_no_mass_is_missing(e)
    e = explainer.explain(np.array([[-1.0, 3.0]]))
    assert e.nodes("image").sign[0].tolist() == [-1, 1]


@pytest.mark.parametrize("method", METHODS)
def test_a_bare_operation_with_a_rule(page, method):
    vector = keras.Input((4,), name="vector")
    model = keras.Model(vector, layers.Dense(1, kernel_initializer="ones")(page.erf(vector)))
    explainer = BacktrackExplainer(model, method=method)
    assert "write_a_rule.error_function" in explainer.summary()
    e = explainer.explain(np.array([[0.5, -1.0, 2.0, 0.1]]))
    assert e.pixels[0].tolist() == [[0], [2], [3]]
    contributions = tf.math.erf([0.5, 2.0, 0.1]).numpy()
    np.testing.assert_allclose(e.mass[0], contributions / contributions.sum(), atol=1e-6)


def test_what_is_checked(page):
    def explainer_of(rule, **settings):
        class Odd(layers.Layer):
            def call(self, x):
                return tf.multiply(x, 2.0)

        register_rule(Odd, **settings)(rule)
        vector = keras.Input((4,))
        return BacktrackExplainer(keras.Model(vector, Odd(name="odd")(vector)))

    with pytest.raises(ValueError, match="'odd'.*which has 1. Received: \\[1\\]"):
        explainer_of(lambda call: same_place(), follows=[1])
    with pytest.raises(TypeError, match="A rule must return.*Received: None for 'odd'"):
        explainer_of(lambda call: None)
