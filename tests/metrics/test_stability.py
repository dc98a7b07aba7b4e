"""Maps of changed pictures."""

import numpy as np
import pytest

from keras_backtrack import metrics

IMAGES = np.ones((1, 2, 2, 1), np.float32)


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
    ],
)
def test_wrong_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()
