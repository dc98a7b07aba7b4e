"""Metrics of regions: cases done by hand, and against scikit-learn."""

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


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: metrics.iou(REGIONS, MASKS[0]), ValueError, "same shape.*Received"),
        (lambda: metrics.iou(REGIONS * 0.5, MASKS), ValueError, "0 and 1.*Received"),
        (lambda: metrics.iou([["a"]], MASKS), TypeError, "real numbers.*Received"),
        (lambda: metrics.iou(REGIONS, MASKS, average="micro"), ValueError, "'micro'"),
        (lambda: metrics.f_beta(REGIONS, MASKS, 0), ValueError, "above 0.*Received: 0"),
    ],
)
def test_wrong_input(call, error, match):
    with pytest.raises(error, match=match):
        call()
