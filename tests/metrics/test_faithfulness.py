"""Metrics that ask the network or the method again: insertion, randomisation, stability."""

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer, metrics
from keras_backtrack.graph.compat import keras


def first_column_bright(x):
    """Two classes: how much of the first column's two pixels is there, and the rest."""
    share = x[:, :, 0, 0].mean(axis=1)
    return np.stack([share, 1 - share], axis=1)


IMAGES = np.ones((1, 2, 2, 1), np.float32)
RIGHT = np.array([[[4, 1], [3, 2]]])  # the first column first
WRONG = np.array([[[1, 4], [2, 3]]])


def test_deletion_and_insertion_by_hand():
    ask = {"targets": [0], "steps": 4}
    # Scores after 0 to 4 deleted pixels: 1, ½, 0, 0, 0; and 1, 1, 1, ½, 0 in the wrong order.
    assert metrics.deletion(first_column_bright, IMAGES, RIGHT, **ask) == pytest.approx(1 / 4)
    assert metrics.deletion(first_column_bright, IMAGES, WRONG, **ask) == pytest.approx(3 / 4)
    ask["baseline"] = 0
    assert metrics.insertion(first_column_bright, IMAGES, RIGHT, **ask) == pytest.approx(3 / 4)
    assert metrics.insertion(first_column_bright, IMAGES, WRONG, **ask) == pytest.approx(1 / 4)
    ask |= {"steps": 2, "batch_size": 1, "average": None}
    areas = metrics.deletion(
        first_column_bright, IMAGES[[0, 0]], RIGHT[[0, 0]], **ask | {"targets": [0, 1]}
    )
    np.testing.assert_allclose(areas, [1 / 4, 3 / 4])


def test_insertion_starts_from_the_blurred_picture(rng):
    x = rng.uniform(size=(2, 20, 20, 3))
    seen = []
    metrics.insertion(
        lambda b: seen.append(b) or b.mean(axis=(1, 2)), x, x[..., 0], [0, 1], steps=1
    )
    kernel = np.exp(-(np.arange(-5, 6) ** 2) / 50)
    kernel /= kernel.sum()
    want = (x[0, 5:16, 5:16] * (kernel[:, None] * kernel)[..., None]).sum(axis=(0, 1))
    np.testing.assert_allclose(seen[0][0, 10, 10], want)
    np.testing.assert_array_equal(seen[0][1], x[0])


def test_pixels_of_the_same_value_are_deleted_in_random_order():
    x = np.ones((1, 64, 64, 1), np.float32)
    upper = lambda b: b[:, :32].mean(axis=(1, 2))  # noqa: E731
    area = metrics.deletion(upper, x, np.zeros((1, 64, 64)), [0])
    assert area == pytest.approx(0.5, abs=0.02)


def small_model(rng):
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu")(image)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    model = keras.Model(image, layers.Dense(4, activation="softmax")(layers.Flatten()(x)))
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    return model


def test_randomisation_cascades_and_leaves_the_model_as_it_was(rng):
    model = small_model(rng)
    kept = model.get_weights()
    steps = []

    def explain():
        now = model.get_weights()
        steps.append([not np.array_equal(a, b) for a, b in zip(now, kept, strict=True)])
        # The values are shuffled, none is lost.
        for a, b in zip(now, kept, strict=True):
            np.testing.assert_array_equal(np.sort(a, axis=None), np.sort(b, axis=None))
        return now[0][..., 0].transpose(2, 0, 1)

    cascade = metrics.cascading_randomization(model, explain)
    conv, norm, conv2, dense = ([i, i + 1] for i in (0, 2, 6, 8))
    norm = [2, 3, 4, 5]
    assert [step.share for step in cascade] == [0.25, 0.5, 0.75, 1]
    assert "dense" in cascade[0].layer and "conv" in cascade[1].layer
    changed = [set(np.flatnonzero(step)) for step in steps]
    assert changed == [
        set(),
        set(dense),
        {*dense, *conv2},
        {*dense, *conv2, *norm},
        {*dense, *conv2, *norm, *conv},
    ]
    assert [step.likeness == 1 for step in cascade] == [True, True, True, False]
    for a, b in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_error_leaves_the_model_as_it_was(rng):
    model = small_model(rng)
    kept = model.get_weights()
    calls = []

    def explain():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return np.eye(8)[None]

    with pytest.raises(KeyboardInterrupt):
        metrics.cascading_randomization(model, explain)
    for a, b in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_explainer_sees_the_random_weights(rng):
    model = small_model(rng)
    explainer = BacktrackExplainer(model, method="posterior")
    x = rng.uniform(size=(2, 8, 8, 3)).astype(np.float32)

    def explain():
        return explainer.explain(x, 1).attention(sigma=0.5)

    before = explain()
    both = metrics.cascading_randomization(
        model,
        explain,
        lambda a, b: (metrics.rank_correlation(a, b), metrics.ssim(a, b)),
        shares=(0.5, 1),
    )
    assert [step.share for step in both] == [0.5, 1]
    assert all(likeness < 0.999 for step in both for likeness in step.likeness)
    np.testing.assert_array_equal(explain(), before)


def test_rank_correlation_and_ssim_by_hand(rng):
    a = rng.normal(size=(2, 9, 10))
    assert metrics.rank_correlation(a, np.exp(a)) == pytest.approx(1)
    assert metrics.rank_correlation(a, -a) == pytest.approx(-1)
    assert metrics.rank_correlation(a, np.zeros_like(a)) == 0
    # 1 − 6 Σd² / n(n² − 1), with ranks 1 2 3 4 and 2 1 4 3.
    assert metrics.rank_correlation([[1, 2], [3, 4]], [[2, 1], [4, 3]]) == pytest.approx(
        1 - 24 / 60
    )
    assert metrics.class_discrimination(a, -a) == pytest.approx(2)
    assert metrics.ssim(a, 3 * a + 1) == pytest.approx(1)
    values = metrics.ssim(a, rng.normal(size=(2, 9, 10)), average=None)
    assert values.shape == (2,) and np.all(values < 0.5)


def test_stability_by_hand(rng):
    x = rng.integers(0, 256, (2, 12, 14, 3), np.uint8)
    red = lambda x: x[..., 0].astype(float)  # noqa: E731
    assert metrics.stability(red, x, metrics.flip()) == pytest.approx(1)
    for rows, columns in [(3, -2), (-1, 4), (0, 0)]:
        moved = metrics.shift(rows, columns)
        assert metrics.stability(red, x, moved) == pytest.approx(1)
        assert metrics.stability(lambda x: np.ones(x.shape[:3], bool), x, moved, metrics.iou) == 1
    np.testing.assert_array_equal(metrics.shift(3, -2).apply(x)[:, 3:, :-2], x[:, :-3, 2:])
    # What does not move with the picture is not stable.
    assert metrics.stability(lambda _: red(x), x, metrics.flip()) < 0.5
    for perturbation in (metrics.blur(1), metrics.noise(20), metrics.jpeg(30)):
        changed = perturbation.apply(x)
        assert changed.dtype == x.dtype and changed.shape == x.shape
        assert 0.1 < metrics.stability(red, x, perturbation) < 0.999
    np.testing.assert_array_equal(metrics.noise(20).apply(x), metrics.noise(20).apply(x))
    floats = metrics.noise(0.5).apply(np.zeros((1, 50, 50, 3), np.float32))
    assert floats.dtype == np.float32 and abs(floats.std() - 0.5) < 0.02


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: metrics.blur(0), "`sigma`.*Received: 0"),
        (lambda: metrics.noise(np.nan), "`deviation`.*nan"),
        (lambda: metrics.jpeg(0), "1 to 95.*Received: 0"),
        (lambda: metrics.jpeg(9).apply(IMAGES), "uint8.*Received: float32"),
        (lambda: metrics.shift(2, 0).apply(IMAGES), "leave some"),
        (lambda: metrics.stability(lambda x: x, IMAGES[0], metrics.flip()), r"\(2, 2, 1\)"),
        (lambda: metrics.deletion(first_column_bright, IMAGES, RIGHT, [2]), "target 2"),
        (lambda: metrics.deletion(first_column_bright, IMAGES, RIGHT, [0.0]), "ints.*float64"),
        (lambda: metrics.deletion(first_column_bright, IMAGES, RIGHT[:, :1], [0]), "one value"),
        (lambda: metrics.deletion(lambda x: x, IMAGES, RIGHT, [0]), "a row of classes"),
        (lambda: metrics.insertion(first_column_bright, IMAGES, RIGHT, [0], steps=0), "`steps`"),
        (lambda: metrics.ssim(IMAGES[..., 0], IMAGES[..., 0]), "7 × 7"),
        (
            lambda: metrics.cascading_randomization(
                keras.Sequential([keras.Input((2,)), layers.ReLU()]), lambda: None
            ),
            "must have weights",
        ),
    ],
)
def test_wrong_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_shares_are_above_0(rng):
    with pytest.raises(ValueError, match="at most 1.*Received"):
        metrics.cascading_randomization(small_model(rng), lambda: None, shares=[0])
