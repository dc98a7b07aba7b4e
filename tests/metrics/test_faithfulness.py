"""Metrics that ask the network again: deletion and insertion."""

import numpy as np
import pytest

from keras_backtrack import metrics


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


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: metrics.deletion(first_column_bright, IMAGES, RIGHT, [2]), "target 2"),
        (lambda: metrics.deletion(first_column_bright, IMAGES, RIGHT, [0.0]), "ints.*float64"),
        (lambda: metrics.deletion(first_column_bright, IMAGES, RIGHT[:, :1], [0]), "one value"),
        (lambda: metrics.deletion(lambda x: x, IMAGES, RIGHT, [0]), "a row of classes"),
        (lambda: metrics.insertion(first_column_bright, IMAGES, RIGHT, [0], steps=0), "`steps`"),
    ],
)
def test_wrong_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()
