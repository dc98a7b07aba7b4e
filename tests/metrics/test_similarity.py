"""How alike two maps are."""

import numpy as np
import pytest

from keras_backtrack import metrics

IMAGES = np.ones((1, 2, 2, 1), np.float32)


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


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: metrics.ssim(IMAGES[..., 0], IMAGES[..., 0]), "7 × 7"),
    ],
)
def test_wrong_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()
