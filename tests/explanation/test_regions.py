"""Maps and regions of an explanation: refined, and of a layer."""

import numpy as np
import pytest
from networks import layers
from same import small_explainer

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.pictures import heatmaps as maps
from keras_backtrack.pictures.refine import REFINEMENTS


def photo_of_a_disc(rng, size=96, centre=(40, 55), radius=22):
    """A red disc on green, both with noise: (H, W, 3) uint8, and its mask."""
    rows, columns = np.mgrid[:size, :size]
    mask = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
    photo = np.where(mask[..., None], [190, 60, 50], [60, 150, 70])
    return np.clip(photo + rng.normal(0, 8, photo.shape), 0, 255).astype(np.uint8), mask


def iou(region, mask):
    return (region & mask).sum() / (region | mask).sum()


def best_iou(attention, mask):
    return max(iou(attention >= t, mask) for t in np.linspace(0.05, 0.95, 19))


@pytest.fixture(scope="module")
def network():
    """Sees the corner of what is red."""
    image = keras.Input((96, 96, 3))
    x = layers.Conv2D(1, 1, activation="relu", name="red")(image)
    x = layers.MaxPooling2D(16, name="cells")(x)
    model = keras.Model(image, layers.Dense(2, use_bias=False, name="head")(layers.Flatten()(x)))
    model.get_layer("red").set_weights([np.float32([[[[1], [-1], [0]]]]), np.float32([-0.1])])
    kernel = np.zeros((6, 6, 2), np.float32)
    kernel[1:3, 2:4, 0] = 1
    model.get_layer("head").set_weights([kernel.reshape(36, 2)])
    return model


@pytest.fixture
def photo_and_mask(rng):
    return photo_of_a_disc(rng)


def explain(network, photo, **settings):
    return BacktrackExplainer(network, **settings).explain(photo[None] / 255, 0)


def test_a_refined_region_is_nearer_to_the_object(network, photo_and_mask):
    photo, mask = photo_and_mask
    e = explain(network, photo, method="posterior")
    for kind in REFINEMENTS:
        # Without pictures it is the explained input.
        for given in ({}, {"images": photo}):
            refined = e.attention(refine=kind, **given)[0]
            assert best_iou(refined, mask) > 0.8 > best_iou(e.attention()[0], mask) + 0.2
    assert iou(e.saliency(refine="edges+border")[0], mask) > 0.85
    box = e.boxes(refine="edges+border")[0][0]
    np.testing.assert_allclose(box, [18, 33, 63, 78], atol=3)


def test_attention_of_a_layer(network, photo_and_mask):
    photo, _ = photo_and_mask
    e = explain(network, photo, method="posterior", layers=["cells"])
    attention = e.attention(1.0, layer="cells")[0]
    assert attention.shape == (96, 96) and attention.max() == 1
    cells = attention.reshape(6, 16, 6, 16).mean(axis=(1, 3))
    np.testing.assert_array_equal(cells > cells.max() / 3, e.grid("cells")[0] > 0)
    assert e.saliency(layer="cells").sum() > e.saliency().sum()
    with pytest.raises(ValueError, match="height × width × channels.*Received: layer 'head'"):
        explain(network, photo).attention(layer="head")


def test_what_maps_refuse(network, photo_and_mask):
    e = explain(network, photo_and_mask[0])
    with pytest.raises(ValueError, match="`refine` must be one of.*Received: 'sharp'"):
        e.saliency(refine="sharp")
    with pytest.raises(ValueError, match=r"explained images.*Received: shape \(1, 8, 8, 3\)"):
        e.saliency(refine="edges", images=np.zeros((1, 8, 8, 3)))
    with pytest.raises(ValueError, match="There is no.*layer|no layer"):
        e.attention(layer="nothing")


@pytest.fixture
def fine(photo_and_mask):
    """An explanation that is read at the fine layer, `"pooled"` of 24 × 24 cells."""
    keras.utils.set_random_seed(0)
    image = keras.Input((96, 96, 3), name="picture")
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    x = layers.MaxPooling2D(4, name="pooled")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D(4)(x))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    return BacktrackExplainer(model).explain(photo_and_mask[0] / 255, [[0, 1]])


def test_maps_are_read_at_the_fine_layer(fine):
    e = fine
    assert e.fine_layer == "pooled" and e.mass_map("pooled").shape == (2, 24, 24)
    sigma = maps.LAYER_SIGMAS["backtrack"] * 96
    want = [maps.attention_of_grid(grid, 96, 96, sigma) for grid in e.mass_map("pooled")]
    np.testing.assert_array_equal(e.attention(), want)
    np.testing.assert_array_equal(e.attention(layer="pooled"), want)
    region = e.saliency()
    np.testing.assert_array_equal(region, np.stack(want) >= maps.THRESHOLDS["backtrack"])
    for i, boxes in enumerate(e.boxes()):
        points, mass = maps.centres(e.mass_map("pooled")[i], 96, 96)
        np.testing.assert_array_equal(boxes, maps.boxes(region[i], points, mass))
        np.testing.assert_array_equal(boxes, e.boxes(layer="pooled")[i])
        assert len(boxes)
        decision = e.decisions()[i]
        np.testing.assert_array_equal(decision.cells, e.mass_map("pooled")[i])
        np.testing.assert_array_equal(decision.boxes, boxes)
        np.testing.assert_array_equal(decision.attention((96, 96), sigma), want[i])
    objects = e.boxes(labels=["a", "b", "c"])
    assert {d.box for d in objects} <= {tuple(box) for boxes in e.boxes() for box in boxes.tolist()}


def test_the_name_of_the_input_reads_the_pixels(fine):
    e, sigma = fine, maps.SIGMAS["backtrack"] * 96
    pixels = zip(e.pixels, e.mass, strict=True)
    want = [maps.attention(*points, 96, 96, sigma) for points in pixels]
    np.testing.assert_array_equal(e.attention(layer="picture"), want)
    assert not np.allclose(want, e.attention(), atol=0.1)
    regions = e.saliency(layer="picture")
    for boxes, region, points, mass in zip(
        e.boxes(layer="picture"), regions, e.pixels, e.mass, strict=True
    ):
        np.testing.assert_array_equal(boxes, maps.boxes(region, points, mass))
    np.testing.assert_array_equal(e.mass_map().astype(bool).sum(axis=(1, 2)), [*map(len, e.pixels)])


def test_without_a_fine_layer_all_paths_lead_to_the_pixels(rng):
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model, x = keras.Model(image, layers.Dense(2)(x)), rng.random((2, 8, 8, 3))
    e, all_paths = (
        BacktrackExplainer(model, **s).explain(x) for s in ({}, {"method": "posterior"})
    )
    assert e.fine_layer is None and e.method == "backtrack"
    np.testing.assert_allclose(e.mass_map(), all_paths.mass_map(), atol=1e-6)
    np.testing.assert_allclose(e.attention(), all_paths.attention(), atol=1e-5)
    assert e.decisions()[0].cells is None
    assert [b.tolist() for b in e.boxes()] == [b.tolist() for b in all_paths.boxes()]


def test_each_method_has_its_defaults(network, photo_and_mask):
    for method in ("viterbi", "posterior"):
        e = explain(network, photo_and_mask[0], method=method, layers=["cells"])
        sigma, threshold = maps.SIGMAS[method] * 96, maps.THRESHOLDS[method]
        np.testing.assert_array_equal(e.attention(), e.attention(sigma))
        np.testing.assert_array_equal(e.saliency(), e.saliency(sigma, threshold))
        layer, sigma = {"layer": "cells"}, maps.LAYER_SIGMAS[method] * 96
        np.testing.assert_array_equal(e.attention(**layer), e.attention(sigma, **layer))
        assert e[0].method == method


def test_pictures_to_refine_on_without_refining():
    e, photos = small_explainer().explain(np.ones((1, 8, 7, 3))), np.zeros((1, 8, 7, 3), np.uint8)
    for view in (e.attention, e.saliency, e.boxes):
        with pytest.raises(ValueError, match=r"`refine` looks at.*Received: refine=None"):
            view(images=photos)
