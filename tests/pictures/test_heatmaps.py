"""Points and mass as maps, regions and boxes."""

import numpy as np
import pytest

from keras_backtrack.pictures import heatmaps as maps


def test_boxes_surround_regions_by_mass():
    region = np.zeros((10, 10), bool)
    region[1:3, 1:4] = region[6:9, 5:9] = region[0, 9] = True
    points = np.array([[1, 1], [7, 7], [0, 9]])
    boxes = maps.boxes(region, points, np.array([0.3, 0.68, 0.02]))
    assert boxes.tolist() == [[6, 5, 9, 9], [1, 1, 3, 4]]


def test_no_pixels_make_an_empty_map():
    nothing = np.zeros((0, 2), np.int32), np.zeros(0, np.float32)
    attention = maps.attention(*nothing, 4, 5, 1.0)
    assert not attention.any() and not maps.saliency(attention, 0.0).any()
    assert maps.boxes(maps.saliency(attention, 0.5), *nothing).shape == (0, 4)


@pytest.mark.parametrize("sigma", [0.3, 2.0, 15.0])
def test_few_points_and_many_make_the_same_map(sigma, rng, monkeypatch):
    points, mass = rng.integers(0, [40, 60], (30, 2)), rng.uniform(size=30).astype(np.float32)
    few = maps.attention(points, mass, 40, 60, sigma)
    monkeypatch.setattr(maps, "_FEW", 0)
    many = maps.attention(points, mass, 40, 60, sigma)
    assert few.dtype == many.dtype == np.float32 and few.max() == 1
    np.testing.assert_allclose(few, many, atol=2e-6)
