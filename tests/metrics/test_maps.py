"""Metrics of maps: cases done by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from keras_backtrack import metrics

# Two images of 2 × 4: the first region has 2 of 4 pixels right and misses 1, the second is empty.
REGIONS = np.array([[[1, 1, 0, 0], [1, 1, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]]], bool)


MASKS = np.array([[[1, 1, 1, 0], [0, 0, 0, 0]], [[0, 0, 0, 1], [0, 0, 0, 1]]], bool)


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
