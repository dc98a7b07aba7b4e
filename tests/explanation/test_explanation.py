"""The views on a result."""

import json

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


@pytest.fixture(scope="module")
def e():
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 10, 3))
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    model = keras.Model(image, layers.Dense(4, activation="softmax")(layers.Flatten()(x)))
    explainer = BacktrackExplainer(model, channels=2)
    return explainer(np.random.default_rng(0).random((3, 12, 10, 3)), [[0, 1]] * 3)


def test_shapes_and_dtypes(e):
    assert len(e) == 6
    assert e.targets.dtype == np.int64 and e.scores.dtype == np.float32
    assert e.image_index.tolist() == [0, 0, 1, 1, 2, 2]
    for pixels, mass in zip(e.pixels, e.mass, strict=True):
        assert pixels.dtype == np.int32 and mass.dtype == np.float32
        assert len(pixels) == len(mass) == len(np.unique(pixels, axis=0))
        assert sorted(pixels.tolist()) == pixels.tolist()
    assert e.nodes("pool")[0].shape[1] == 3
    assert abs(e.nodes("pool").mass[0].sum() - 1) < 1e-4
    attention = e.attention()
    assert attention.shape == (6, 12, 10) and attention.dtype == np.float32
    np.testing.assert_allclose(attention.max(axis=(1, 2)), 1)
    assert e.saliency().dtype == bool
    assert e.grid().shape == (6, 6, 5)
    np.testing.assert_allclose(e.grid("pool").sum(axis=(1, 2)), 1, atol=1e-4)
    for boxes in e.boxes():
        assert boxes.dtype == np.int32 and boxes.shape[1] == 4 and len(boxes) > 0


def test_summary():
    image = keras.Input((12, 10, 3))
    x = layers.SeparableConv2D(5, 3, activation="relu", name="separable")(image)
    model = keras.Model(image, layers.Dense(4, name="head")(layers.Flatten()(x * 2.0)))
    lines = [line.split() for line in BacktrackExplainer(model).summary().splitlines()]
    assert lines[0] == ["separable/depthwise", "DepthwiseConv2D", "linear.depthwise_convolution"]
    assert lines[1] == ["separable/pointwise", "Conv2D", "linear.convolution"]
    assert lines[2][1:] == ["multiply", "arithmetic.multiply"]
    assert lines[-1] == ["head", "Dense", "linear.dense"] and len(lines) == 5


def test_layers_of_a_posterior():
    image = keras.Input((12, 10, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="conv")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    model = keras.Model(image, layers.Dense(4)(layers.Flatten()(x)))
    x = np.random.default_rng(0).random((2, 12, 10, 3))
    e = BacktrackExplainer(model, method="posterior").explain(x)
    assert e.grid().shape == (2, 5, 4)
    with pytest.raises(ValueError, match="does not hold.*Received: 'conv'"):
        e.nodes("conv")
    e = BacktrackExplainer(model, method="posterior", layers=["conv"]).explain(x)
    assert abs(e.nodes("conv").mass[0].sum() + e.lost[0] - 1) < 1e-4
    assert e.nodes("pool").mass[1].sum() > 0


def test_slices_hold_the_same(e):
    for i, one in enumerate(e):
        assert len(one) == 1 and one.targets[0] == e.targets[i]
        np.testing.assert_array_equal(one.pixels[0], e.pixels[i])
    np.testing.assert_array_equal(e[2:5][1].pixels[0], e.pixels[3])
    np.testing.assert_array_equal(e[-1].mass[0], e.mass[5])
    assert "Explanation of 6 decisions" in repr(e)


def test_figure_and_files(e, tmp_path):
    assert e._repr_png_().startswith(b"\x89PNG")
    assert len(e[:2].plot(np.zeros((3, 12, 10, 3), np.uint8)).axes) == 10
    e.save(tmp_path / "e.png")
    e.save(tmp_path / "e.json")
    e.save(tmp_path / "e.npz")
    records = json.loads((tmp_path / "e.json").read_text())
    assert [r["target"] for r in records] == e.targets.tolist()
    assert records[4]["pixels"] == e.pixels[4].tolist()
    arrays = np.load(tmp_path / "e.npz")
    assert arrays["pixels_count"].tolist() == [len(p) for p in e.pixels]
    np.testing.assert_array_equal(arrays["pixels"], np.concatenate(e.pixels))
