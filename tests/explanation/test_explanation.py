"""The views on a result."""

import json
from dataclasses import fields

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.explanation.decisions import Decision
from keras_backtrack.graph.compat import keras
from keras_backtrack.pictures import heatmaps
from keras_backtrack.pictures.class_names import label_of, short_name, title_of
from keras_backtrack.pictures.photos import Frame


@pytest.fixture(scope="module")
def e():
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 10, 3))
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    model = keras.Model(image, layers.Dense(4, activation="softmax")(layers.Flatten()(x)))
    explainer = BacktrackExplainer(model, channels=2, method="viterbi", contrast=False)
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
    e = BacktrackExplainer(model, method="posterior", contrast=False).explain(x)
    assert e.grid().shape == (2, 5, 4)
    with pytest.raises(ValueError, match="does not hold.*Received: 'conv'"):
        e.nodes("conv")
    settings = {"method": "posterior", "contrast": False, "layers": ["conv"]}
    e = BacktrackExplainer(model, **settings).explain(x)
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
    records = json.loads((tmp_path / "e.json").read_text())["decisions"]
    assert [r["target"] for r in records] == e.targets.tolist()
    assert records[4]["pixels"] == e.pixels[4].tolist()
    arrays = np.load(tmp_path / "e.npz")
    assert arrays["pixels_count"].tolist() == [len(p) for p in e.pixels]
    assert arrays["target_name"][1] == "class 1" and "versus" not in arrays
    np.testing.assert_array_equal(arrays["pixels"], np.concatenate(e.pixels))


def test_mass_maps_hold_the_raw_mass(e):
    whole = e.mass_map()
    assert whole.shape == (6, 12, 10) and whole.dtype == np.float32
    for i in range(6):
        np.testing.assert_array_equal(np.argwhere(whole[i]), e.pixels[i])
        np.testing.assert_array_equal(whole[i][whole[i] > 0], e.mass[i])
    cells = e.mass_map(layer="pool")
    assert cells.shape == (6, 6, 5)
    np.testing.assert_array_equal(cells, e.grid("pool"))
    nodes = e.nodes("pool")
    for row, column in {tuple(at) for at in nodes[2][:, :2]}:
        here = (nodes[2][:, :2] == (row, column)).all(axis=1)
        assert cells[2, row, column] == pytest.approx(nodes.mass[2][here].sum(), abs=1e-6)
    with pytest.raises(ValueError, match=r"height × width × channels.*Received.*shape \(4,\)"):
        e.mass_map(layer=e.layers[-1])


def test_a_mass_map_adds_up_what_coincides():
    points, mass = np.array([[1, 2], [0, 0], [1, 2]]), np.float32([0.25, 0.5, 0.125])
    assert heatmaps.mass_map(points, mass, (2, 3)).tolist() == [[0.5, 0, 0], [0, 0, 0.375]]
    nothing = heatmaps.mass_map(np.zeros((0, 2), int), np.zeros(0, np.float32), (2, 3))
    assert nothing.shape == (2, 3) and nothing.dtype == np.float32 and not nothing.any()


def test_a_decision_as_a_record(e):
    decision = e.decisions(["a, A", "b"])[3]
    assert (decision.image, decision.target, decision.target_name) == (1, 1, "b")
    assert decision.versus is decision.versus_name is decision.logits is None
    assert decision.label == "b" and decision.title == f"b  {e.scores[3]:.3g}"
    assert e.decisions()[0].title == e.titles[0] == f"class 0  {e.scores[0]:.3g}"
    np.testing.assert_array_equal(decision.pixels, e.pixels[3])
    np.testing.assert_array_equal(decision.boxes, e.boxes()[3])
    assert decision.input_mass == pytest.approx([e.mass[3].sum()], abs=1e-6)
    record = decision.record()
    assert list(record) == [field.name for field in fields(Decision)]
    again = Decision.from_record(json.loads(json.dumps(record)))
    assert again.record() == record
    # A photo twice as large, of which all was seen.
    on_photo = e.decisions(frames=[Frame.squeeze((24, 20), (12, 10))] * 6)[3]
    np.testing.assert_array_equal(on_photo.pixels, 2 * e.pixels[3] + 1)
    np.testing.assert_array_equal(on_photo.boxes, 2 * e.boxes()[3])


def test_titles():
    assert title_of("tabby", 0.9312, None) == "tabby  0.931"
    label = label_of("tabby", "lynx")
    assert title_of(label, 0.9, (7.125, -4)) == "tabby rather than lynx\nlogits 7.12 and -4"
    assert label_of("tabby", None, is_low=True) == "tabby, why low"
    assert short_name(1, ["ant", "bee, honey bee"]) == "bee" and short_name(1, None) == "class 1"
    assert short_name(-1, ["ant"]) == "a mask of units"
    assert short_name(70, ["ant", "bee"], "unit") == "unit 70"
