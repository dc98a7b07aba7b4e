"""Regions refined at edges and at the border."""

import sys

import numpy as np
import pytest
from scipy import ndimage

from keras_backtrack.pictures.refine import REFINEMENTS, refine

pytest.importorskip("skimage")


def photo_of_a_disc(rng, size=96, centre=(40, 55), radius=22):
    """A red disc on green, both with noise: (H, W, 3) uint8, and its mask."""
    rows, columns = np.mgrid[:size, :size]
    mask = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
    photo = np.where(mask[..., None], [190, 60, 50], [60, 150, 70])
    return np.clip(photo + rng.normal(0, 8, photo.shape), 0, 255).astype(np.uint8), mask


def blob(size, row, column, sigma):
    rows, columns = np.mgrid[:size, :size]
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))


def iou(region, mask):
    return (region & mask).sum() / (region | mask).sum()


def best_iou(attention, mask):
    return max(iou(attention >= t, mask) for t in np.linspace(0.05, 0.95, 19))


@pytest.mark.parametrize("kind", REFINEMENTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_attention_to_a_part_becomes_the_object(rng, kind, dtype):
    photo, mask = photo_of_a_disc(rng)
    photo = photo if dtype == np.uint8 else photo.astype(np.float32) / 255
    attention = blob(96, 34, 50, 9)
    refined = refine(attention, photo, kind)
    assert refined.shape == (96, 96) and refined.dtype == np.float32
    assert refined.min() >= 0 and refined.max() == 1
    # Segments are as fine as 96 × 96 pixels allow.
    assert best_iou(refined, mask) > 0.82
    assert best_iou(attention, mask) < 0.65
    np.testing.assert_array_equal(refine(attention, photo, kind), refined)


def test_the_border_counts_as_background(rng):
    photo, mask = photo_of_a_disc(rng)
    # As much attention beside the disc as on it.
    attention = np.maximum(blob(96, 40, 55, 9), blob(96, 75, 20, 9))
    without, prior = (refine(attention, photo, kind) for kind in REFINEMENTS)
    background = ~ndimage.binary_dilation(mask, iterations=3)
    assert prior[background].mean() < 0.8 * without[background].mean()
    assert iou(prior >= 0.5, mask) > 0.88 > iou(without >= 0.5, mask)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (40, 40)])
def test_pictures_without_edges(shape):
    picture = np.full((*shape, 3), 0.5, np.float32)
    for kind in REFINEMENTS:
        refined = refine(np.ones(shape), picture, kind)
        assert np.isfinite(refined).all() and refined.max() == 1
        assert not refine(np.zeros(shape), picture, kind).any()


def test_what_refine_refuses(monkeypatch):
    attention, picture = np.ones((8, 8)), np.zeros((8, 8, 3))
    with pytest.raises(ValueError, match="must be one of.*Received: 'edge'"):
        refine(attention, picture, "edge")
    with pytest.raises(ValueError, match=r"Received: shapes \(8, 8, 3\) and \(8, 9\)"):
        refine(np.ones((8, 9)), picture)
    with pytest.raises(ValueError, match="finite numbers.*Received: 1"):
        refine(np.where(np.eye(8) * np.arange(8) == 3, np.nan, attention), picture)
    monkeypatch.setitem(sys.modules, "skimage.color", None)
    with pytest.raises(ImportError, match=r"keras-backtrack\[regions\]"):
        refine(attention, picture)
