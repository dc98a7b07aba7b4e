"""Metrics of regions and maps: cases done by hand, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sklearn_metrics

from keras_backtrack import metrics

# Two images of 2 × 4: the first region has 2 of 4 pixels right and misses 1, the second is empty.
REGIONS = np.array([[[1, 1, 0, 0], [1, 1, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]]], bool)
MASKS = np.array([[[1, 1, 1, 0], [0, 0, 0, 0]], [[0, 0, 0, 1], [0, 0, 0, 1]]], bool)
BY_HAND = {
    "precision": (2 / 4, 0, 2 / 4),
    "recall": (2 / 3, 0, 2 / 5),
    "f1": (4 / 7, 0, 4 / 9),
    "f_beta": (1.3 * 0.5 * (2 / 3) / (0.3 * 0.5 + 2 / 3), 0, 1.3 * 0.5 * 0.4 / (0.3 * 0.5 + 0.4)),
    "iou": (2 / 5, 0, 2 / 7),
    "pixel_accuracy": (5 / 8, 6 / 8, 11 / 16),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_region_metrics_by_hand(name):
    metric = getattr(metrics, name)
    first, second, pooled = BY_HAND[name]
    np.testing.assert_allclose(metric(REGIONS, MASKS, average=None), [first, second])
    assert metric(REGIONS, MASKS) == pytest.approx((first + second) / 2)
    assert metric(REGIONS, MASKS, average="pooled") == pytest.approx(pooled)
    assert metric(REGIONS[0], MASKS[0] * 255) == pytest.approx(first)
    assert type(metric(REGIONS, MASKS)) is float


@settings(max_examples=25)
@given(st.data())
def test_region_metrics_are_those_of_scikit_learn(data):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(2, 5)))
    regions, masks = (data.draw(arrays(bool, shape)) for _ in range(2))
    rows = [values.reshape(len(values), -1) for values in (masks, regions)]
    theirs = {
        "precision": sklearn_metrics.precision_score,
        "recall": sklearn_metrics.recall_score,
        "f1": sklearn_metrics.f1_score,
        "f_beta": lambda *a, **k: sklearn_metrics.fbeta_score(*a, beta=np.sqrt(0.3), **k),
        "iou": sklearn_metrics.jaccard_score,
    }
    for name, metric in theirs.items():
        for ours, average in [("images", "samples"), ("pooled", "micro")]:
            want = metric(*rows, average=average, zero_division=0)
            got = getattr(metrics, name)(regions, masks, average=ours)
            assert got == pytest.approx(want), (name, average)
    want = sklearn_metrics.accuracy_score(*(r.ravel() for r in rows))
    assert metrics.pixel_accuracy(regions, masks, average="pooled") == pytest.approx(want)


def test_pointing_game_by_hand():
    values = np.zeros((4, 5))
    values[1, 1] = 2
    mask = np.zeros((4, 5), bool)
    mask[3, 3] = True
    assert metrics.pointing_game(values, mask) == 0
    assert metrics.pointing_game(values, mask, tolerance=2.82) == 0  # √8 away
    assert metrics.pointing_game(values, mask, tolerance=2.83) == 1
    values[3, 3] = 2
    assert metrics.pointing_game(values, mask) == 0.5
    assert metrics.pointing_game(np.ones((4, 5)), mask) == pytest.approx(1 / 20)
    assert metrics.pointing_game(values, np.zeros_like(mask), tolerance=9) == 0


def test_maps_by_hand():
    values = np.array([[0.5, 0.25], [0.25, 0]])
    mask = np.array([[1, 0], [0, 1]])
    assert metrics.mass_inside(values, mask) == 0.5
    assert metrics.mass_inside(np.zeros((2, 2)), mask) == 0
    assert metrics.mae(values, mask) == pytest.approx((0.5 + 0.25 + 0.25 + 1) / 4)
    want = sklearn_metrics.mean_absolute_error(mask, values)
    assert metrics.mae(values, mask) == pytest.approx(want)
    both = metrics.mass_inside([values, np.zeros((2, 2))], [mask, mask], average=None)
    np.testing.assert_array_equal(both, [0.5, 0])


def test_sparsity_by_hand():
    point = np.zeros((5, 4))
    point[2, 2] = -3
    assert metrics.sparsity(point) == pytest.approx(1 - 1 / 20)
    assert metrics.sparsity(np.full((5, 4), 0.7)) == pytest.approx(0)
    # The Gini index is the mean difference of all pairs over twice the mean.
    values = np.array([[1.0, 1.0], [2.0, 4.0]])
    pairs = np.abs(values.reshape(-1, 1) - values.reshape(1, -1)).mean()
    assert metrics.sparsity(values) == pytest.approx(pairs / (2 * values.mean()))
    assert metrics.sparsity(np.zeros((2, 2))) == 0


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: metrics.iou(REGIONS, MASKS[0]), ValueError, "same shape.*Received"),
        (lambda: metrics.iou(REGIONS * 0.5, MASKS), ValueError, "0 and 1.*Received"),
        (lambda: metrics.iou([["a"]], MASKS), TypeError, "real numbers.*Received"),
        (lambda: metrics.iou(REGIONS, MASKS, average="micro"), ValueError, "'micro'"),
        (lambda: metrics.f_beta(REGIONS, MASKS, 0), ValueError, "above 0.*Received: 0"),
        (lambda: metrics.pointing_game(np.full((2, 2), np.nan), MASKS[0]), ValueError, "4 NaN"),
        (lambda: metrics.pointing_game(REGIONS, MASKS, -1), ValueError, "Received: -1"),
        (lambda: metrics.pointing_game(REGIONS, MASKS, average="pooled"), ValueError, "pooled"),
        (lambda: metrics.mae(MASKS * 2.0, MASKS), ValueError, r"in \[0, 1\]"),
        (lambda: metrics.mass_inside(MASKS * -1.0, MASKS), ValueError, "at least 0"),
        (lambda: metrics.sparsity(np.zeros((0, 2, 2))), ValueError, "shape"),
    ],
)
def test_wrong_input(call, error, match):
    with pytest.raises(error, match=match):
        call()
