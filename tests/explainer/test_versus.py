"""Why this and not that, as a user asks it."""

import json

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from small import NAMES, explainer_of_five

from keras_backtrack.graph.compat import keras


@pytest.fixture(scope="module")
def explainer():
    return explainer_of_five()


@pytest.fixture(scope="module")
def walker():
    """The paper's walk."""
    return explainer_of_five(method="viterbi", contrast=False)


def test_the_difference_of_two_logits(walker, rng):
    """At the last layer the contributions are (W_a - W_b)·A, and the logits are those before it."""
    x = rng.uniform(size=(2, 12, 10, 3))
    e = walker.explain(x, "tabby", versus="tiger cat", labels=NAMES)
    head = walker.model.layers[-1]
    source = keras.Model(walker.model.inputs, head.input)(x).numpy()
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
    swapped = walker.explain(x, "tiger cat", versus="tabby cat", labels=NAMES)
    assert not np.allclose(e.attention(), swapped.attention(), atol=0.05)
    assert not np.allclose(e.attention(), walker.explain(x, 0).attention(), atol=0.01)


def test_a_pair_for_each_image(explainer, rng):
    x = rng.uniform(size=(3, 12, 10, 3))
    together = explainer.explain(
        x, [0, "lynx", 4], versus=["fox", 1, 1], labels=NAMES, batch_size=2
    )
    assert together.targets.tolist() == [0, 2, 4] and together.versus.tolist() == [3, 1, 1]
    for i in range(3):
        alone = explainer.explain(x[i], together.targets[i], versus=together.versus[i])
        np.testing.assert_array_equal(alone.pixels[0], together.pixels[i])
    predicted = explainer.explain(x).targets
    versus = (predicted + 1) % 5
    e = explainer.explain(x, versus=versus)
    assert e.targets.tolist() == predicted.tolist() and e.versus.tolist() == versus.tolist()
    # A list of two is a class for each of two images, as it always was.
    e = explainer.explain(x[:2], [0, 1])
    assert e.targets.tolist() == [0, 1] and e.versus.tolist() == [-1, -1]
    assert explainer._program.traces == 2  # For one unit, and for two.


def test_figures_and_files(explainer, rng, tmp_path):
    x = rng.uniform(size=(2, 12, 10, 3))
    e = explainer.explain(x, ["tabby", "dog"], versus="lynx", labels=NAMES)
    logits = e.logits[1]
    assert e.titles[1] == f"dog rather than lynx\nlogits {logits[0]:.3g} and {logits[1]:.3g}"
    figure = e.compare()
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[6].startswith("dog  ") and titles[7].startswith("lynx  ")
    leader = "dog" if logits[0] > logits[1] else "lynx"
    lead = f"{leader} leads by {abs(logits[0] - logits[1]):.3g}"
    assert titles[8] == f"dog (red) - lynx (blue)\n{lead}"
    assert titles[9] == e.titles[1] and len(titles) == 10
    assert [side.targets.tolist() for side in e.sides] == [[0, 4], [2, 2]]
    one, other = explainer.explain(x, [0, 4]), explainer.explain(x, [2, 2])
    np.testing.assert_allclose(e.difference(), one.attention() - other.attention(), atol=1e-6)
    long = [*(["short-haired " * 3] * 3), "x", "another with a long name"]
    figure = e.compare(names=long)
    FigureCanvasAgg(figure).draw()
    for ax in figure.axes:
        title = ax.title.get_window_extent()
        assert title.y1 <= figure.bbox.y1 and title.width < 1.1 * ax.bbox.width
    e.save(tmp_path / "e.json")
    (record, _) = json.loads((tmp_path / "e.json").read_text())["decisions"]
    assert record["versus"] == 2 and record["logits"] == e.logits[0].tolist()
    assert (record["target_name"], record["versus_name"]) == ("tabby", "lynx")
    e.save(tmp_path / "e.npz")
    assert np.load(tmp_path / "e.npz")["versus"].tolist() == [2, 2]
    assert "versus 2" in repr(e)
    e = explainer.explain(x, 0, versus=1)
    weights = explainer.model.get_weights()
    explainer.model.set_weights([-w for w in weights])
    with pytest.raises(ValueError, match="model has changed"):
        e.compare()
    explainer.model.set_weights(weights)
    with pytest.raises(ValueError, match=r"between two classes.*Received: targets \[3, 3\]"):
        explainer.explain(x, 3).compare()


@pytest.mark.parametrize(
    ("targets", "versus", "labels", "error", "message"),
    [
        (1, 1, None, ValueError, r"must be another class. Received: class 1 on both sides.*0, 1"),
        ([0, 1], [2, 1], None, ValueError, r"class 1 on both sides, for image\(s\) 1"),
        (0, 5, None, ValueError, "target and versus each.*from 0 to 4. Received: 5"),
        (0, [1, 2, 3], None, ValueError, r"target and versus each.*Received: shape \(3,\)"),
        ([[0, 1], [0, 1]], 2, None, ValueError, "target and versus each are one class"),
        ("tabby", "tigre cat", NAMES, ValueError, r"near it are \['tiger cat'.*'tigre cat'"),
        ("tabby", "tiger cat", None, TypeError, "labels=.*Received: 'tabby'"),
        ("Tabby Cat", None, NAMES[:3], ValueError, "Received: 3 names for an output of shape"),
        (0, None, "abcde", TypeError, "list of names.*Received: 'abcde'"),
        (0, None, [1, 2, 3, 4, 5], TypeError, r"list of names.*Received: \[1, 2"),
    ],
)
def test_wrong_input(explainer, targets, versus, labels, error, message):
    with pytest.raises(error, match=message):
        explainer.explain(np.zeros((2, 12, 10, 3)), targets, versus=versus, labels=labels)


def test_how_it_was_asked_before_is_told(explainer):
    """Two targets in a tuple were a class and its foil, and look like a class of each image."""
    for x in (np.zeros((2, 12, 10, 3)), np.zeros((1, 12, 10, 3))):
        with pytest.raises(ValueError, match=r"target, versus=other.*Received: targets=\(0, 1\)"):
            explainer.explain(x, (0, 1))
    for asked in ({"versus": 1, "side": "low"}, {"versus": 1, "top": 2}):
        with pytest.raises(ValueError, match=r"Received: .*versus=1"):
            explainer.explain(x, **asked)


def test_told_from_what_is_predicted(explainer, rng):
    x = rng.uniform(size=(2, 12, 10, 3))
    predicted = int(explainer.explain(x[1]).targets[0])
    with pytest.raises(ValueError, match=rf"class {predicted} on both sides, for image\(s\) 1"):
        explainer.explain(x, versus=[(predicted + 1) % 5, predicted], batch_size=1)
