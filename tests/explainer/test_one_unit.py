"""Networks that answer with a single unit: yes or no, or how much."""

import json

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


def network(activation):
    keras.utils.set_random_seed(0)
    image = keras.Input((24, 20, 3), name="image")
    x = layers.Conv2D(6, 3, activation="relu", padding="same", name="conv")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu", name="last")(x))
    return keras.Model(image, layers.Dense(1, activation=activation, name="head")(x))


@pytest.fixture(scope="module")
def yes_or_no():
    return BacktrackExplainer(network("sigmoid"))


@pytest.fixture(scope="module")
def how_much():
    return BacktrackExplainer(network(None))


@pytest.fixture
def x(rng):
    return rng.random((3, 24, 20, 3)).astype(np.float32)


def set_answers_apart(model, x):
    """Makes the first of two images' answers low, and the other high."""
    last = model.layers[-1]
    kernel, _ = last.get_weights()
    logits = keras.Model(model.inputs, last.input).predict(x, verbose=0) @ kernel
    sign = np.sign(logits[1, 0] - logits[0, 0])
    last.set_weights([sign * kernel, -sign * logits.mean(axis=0)])


def test_no_and_yes_are_targets(yes_or_no, x):
    set_answers_apart(yes_or_no.model, x[:2])
    output = yes_or_no.model.predict(x[:2], verbose=0)[:, 0]
    assert output[0] < 0.5 < output[1]
    e = yes_or_no.explain(x[:2])
    assert e.targets.tolist() == [0, 1] and e.side.tolist() == [-1, 1]
    np.testing.assert_allclose(e.scores, [1 - output[0], output[1]], rtol=1e-5)
    assert e.labels == ("no", "yes")
    assert e.titles == [f"no  {e.scores[0]:.3g}", f"yes  {e.scores[1]:.3g}"]
    for target in (0, 1):
        one = yes_or_no.explain(x[:2], target)
        assert one.targets.tolist() == [target] * 2
        np.testing.assert_array_equal(one.mass_map()[target], e.mass_map()[target])
        by_side = yes_or_no.explain(x[:2], side=("low", "high")[target])
        by_name = yes_or_no.explain(x[:2], ("cat", "dog")[target], labels=["cat", "dog"])
        assert by_name.titles[0].startswith(("cat  ", "dog  ")[target])
        for other in (by_side, by_name):
            assert other.targets.tolist() == one.targets.tolist()
            np.testing.assert_array_equal(other.mass_map(), one.mass_map())
    assert "why low" not in repr(e) and e.decisions()[0].label == "no"


def test_how_much_is_high_or_low(how_much, x):
    set_answers_apart(how_much.model, x[:2])
    e = how_much.explain(x[:2])
    assert e.targets.tolist() == [0, 0] and e.side.tolist() == [-1, 1]
    np.testing.assert_allclose(e.scores, how_much.model.predict(x[:2], verbose=0)[:, 0], rtol=1e-4)
    assert e.titles[0].startswith("output, why low  -") and e.titles[1].startswith("output  ")
    assert e.decisions(["price"])[0].label == "price, why low" and ", why low, score" in repr(e)
    for row, side in enumerate(("low", "high")):
        asked = how_much.explain(x[:2], 0, side=side)
        assert asked.side.tolist() == [(-1, 1)[row]] * 2
        np.testing.assert_array_equal(asked.mass_map()[row], e.mass_map()[row])
    assert not np.allclose(how_much.explain(x[:1], side="high").mass_map(), e[0].mass_map())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"targets": 2}, "classes from 0 to 1. Received: 2"),
        ({"targets": 1, "versus": 0}, "no other unit to compare.*Received: versus=0"),
        ({"targets": 1, "side": "low"}, "0 and 1 are the sides.*targets=1, side='low'"),
        ({"side": "left"}, "`side` must be one of 'high', 'low' or None. Received: 'left'"),
        ({"labels": ["yes"]}, r"Received: 1 names for an output of shape \(2,\)"),
        ({"targets": "maybe", "labels": ["no", "yes"]}, "no class of this name.*'maybe'"),
    ],
)
def test_what_yes_or_no_refuses(yes_or_no, x, asked, message):
    with pytest.raises(ValueError, match=message):
        yes_or_no.explain(x, **asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"targets": 1}, "classes from 0 to 0. Received: 1"),
        ({"targets": 0, "versus": 1}, "from 0 to 0. Received: 1"),
        ({"labels": ["low", "high"]}, r"Received: 2 names for an output of shape \(1,\)"),
    ],
)
def test_what_how_much_refuses(how_much, x, asked, message):
    with pytest.raises(ValueError, match=message):
        how_much.explain(x, **asked)


def test_other_outputs_have_sides(rng):
    image = keras.Input((12, 10, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    explainer = BacktrackExplainer(keras.Model(image, layers.Dense(3, activation="softmax")(x)))
    x = rng.random((2, 12, 10, 3))
    high, low = (explainer.explain(x, 1, side=side) for side in ("high", "low"))
    np.testing.assert_array_equal(explainer.explain(x, 1).mass_map(), high.mass_map())
    assert high.titles[0].startswith("class 1  ") and low.titles[0].startswith("class 1, why low  ")
    assert not np.allclose(high.mass_map(), low.mass_map())


def test_files_have_the_side(yes_or_no, how_much, x, tmp_path):
    for explainer, asked, side, label in (
        (yes_or_no, {"targets": 0}, -1, "no"),
        (yes_or_no, {"targets": 1}, 1, "yes"),
        (how_much, {"side": "low"}, -1, "output, why low"),
    ):
        e = explainer.explain(x, **asked)
        for ending in ("json", "npz", "png", "html"):
            e.save(tmp_path / f"e.{ending}")
        for record in json.loads((tmp_path / "e.json").read_text())["decisions"]:
            assert (record["side"], record["label"]) == (side, label)
        arrays = np.load(tmp_path / "e.npz", allow_pickle=False)
        assert arrays["side"].tolist() == [side] * 3 and arrays["label"].tolist() == [label] * 3
        assert arrays["cells"].shape == (3, *e.mass_map(e.fine_layer).shape[1:])
        assert (tmp_path / "e.html").read_text().count(f'"label":"{label}"') == 3


def colours(count, rng):
    """A green and a red patch on dark noise; the brighter one decides.

    Returns:
        Images, whether it is the red one, and the rows and columns of both.
    """
    x = rng.uniform(0, 0.2, (count, 32, 32, 3))
    is_red = np.arange(count) % 2
    at = rng.integers(1, [25, 9], (count, 2, 2))
    at[np.arange(count), rng.integers(0, 2, count), 1] += 16
    at[:, 1, 1] = (at[:, 0, 1] + 16) % 32  # In the other half.
    for image, red, places in zip(x, is_red, at, strict=True):
        for colour, (row, column) in enumerate(places):
            bright = rng.uniform(0.8, 1) if colour == red else rng.uniform(0.3, 0.5)
            image[row : row + 6, column : column + 6] = 0
            image[row : row + 6, column : column + 6, 1 - colour] = bright
    return x.astype(np.float32), is_red, at


@pytest.mark.parametrize("activation", ["sigmoid", pytest.param(None, marks=pytest.mark.slow)])
def test_both_sides_are_explained_by_their_own_patch(activation):
    # What a regression learns differs from seed to seed: of some a third of one side's mass is on
    # the dim patch, whatever is asked, and without contrast as well.
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    x, is_red, _ = colours(2000, rng)
    image = keras.Input((32, 32, 3))
    y = layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="relu")(image))
    y = layers.GlobalMaxPooling2D()(layers.Conv2D(16, 3, activation="relu")(y))
    y = layers.Dense(1, activation=activation)(layers.Dense(16, activation="relu")(y))
    model = keras.Model(image, y)
    loss = "binary_crossentropy" if activation else "mse"
    model.compile(keras.optimizers.Adam(0.001), loss=loss)
    model.fit(x, is_red if activation else 2 * is_red - 1, epochs=16, verbose=0)
    x, is_red, at = colours(60, rng)
    for method in ("backtrack", "viterbi", "posterior"):
        e = BacktrackExplainer(model, method=method).explain(x)
        is_right = (e.side > 0) == is_red
        assert is_right.mean() > 0.9
        maps = e.mass_map()
        for red in (0, 1):
            shares = []
            for i in np.flatnonzero(is_right & (is_red == red)):
                row, column = at[i, red] - 1  # What a cell sees reaches a pixel further.
                own = maps[i]
                shares.append(own[row : row + 8, column : column + 8].sum() / own.sum())
            # The regression has .85 or more on Keras 3, .80 on 2.15, which trains another one.
            least = 0.85 if activation else 0.75
            assert np.mean(shares) >= least, (method, red, shares)
