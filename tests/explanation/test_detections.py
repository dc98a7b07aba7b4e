"""Objects: boxes with classes and scores."""

import json

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.explanation.detections import _objects
from keras_backtrack.graph.compat import keras

NAMES = ["red, scarlet", "green", "blue"]


@pytest.fixture(scope="module")
def explainer():
    """Each class adds one colour up."""
    image = keras.Input((40, 60, 3))
    x = layers.AveragePooling2D(2)(image)
    head = layers.Dense(3, use_bias=False)
    model = keras.Model(image, head(layers.GlobalAveragePooling2D()(x)))
    head.set_weights([np.eye(3)])
    return BacktrackExplainer(model, None, None, None, method="viterbi", contrast=False)


@pytest.fixture
def squares():
    """Two red squares and a green one; and a blue one."""
    x = np.zeros((2, 40, 60, 3), np.float32)
    x[0, 4:12, 4:14, 0] = x[0, 26:36, 44:54, 0] = 1
    x[0, 6:14, 40:50, 1] = 0.5
    x[1, 10:30, 20:40, 2] = 1
    return x


@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
def test_separate_objects_become_separate_boxes(explainer, squares, method, tmp_path):
    limits = () if method == "posterior" else (None, None, None)
    explainer = BacktrackExplainer(explainer.model, *limits, method=method, contrast=False)
    e = explainer.explain(squares, top=2)
    assert e.targets.tolist()[:3] == [0, 1, 2]
    found = e.boxes(sigma=1.5, threshold=0.5, labels=NAMES)
    assert [d.name for d in found] == ["red", "red", "green", "blue"]
    assert [d.image for d in found] == [0, 0, 0, 1]
    # In the order of their masses; a box is where the attention is half of its maximum.
    truth = [(26, 44, 36, 54), (4, 4, 12, 14), (6, 40, 14, 50), (10, 20, 30, 40)]
    for detection, box in zip(found, truth, strict=True):
        assert np.abs(np.subtract(detection.box, box)).max() <= 1
    np.testing.assert_allclose([d.mass for d in found], [100 / 180, 80 / 180, 1, 1], atol=0.1)
    assert found[0].score == pytest.approx(180 / 2400) and found[3].score == e.scores[2]
    assert len(found.plot(columns=2).axes) == 2

    coco = found.to_coco(tmp_path / "found.json", ["a.jpg", "b.jpg"])
    assert json.loads((tmp_path / "found.json").read_text()) == coco
    assert coco["images"][1] == {"id": 1, "file_name": "b.jpg", "height": 40, "width": 60}
    assert coco["categories"][0] == {"id": 0, "name": "red"} and len(coco["categories"]) == 3
    last = coco["annotations"][-1]
    assert (last["id"], last["image_id"], last["category_id"]) == (4, 1, 2)
    top, left, bottom, right = found[-1].box
    assert last["bbox"] == [left, top, right - left, bottom - top]
    assert last["area"] == (right - left) * (bottom - top)


def test_names_do_not_cover_one_another(explainer):
    x = np.zeros((1, 40, 60, 3), np.float32)
    x[0, 10:30, 20:40] = [1, 0.8, 0.6]
    found = explainer.explain(x, top=3).boxes(sigma=1.5, threshold=0.5, labels=NAMES)
    assert len({d.box for d in found}) == 1 and len(found) == 3
    figure = found.plot()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    names = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert len(names) == 3
    assert not any(a.overlaps(b) for a in names for b in names if a is not b)


def test_lone_pixels_are_no_objects():
    boxes = np.array([[0, 0, 4, 4], [10, 10, 14, 14]])
    points, mass = np.array([[1, 1], [2, 2], [12, 12]]), np.array([0.2, 0.3, 0.5])
    assert _objects(boxes, points, mass) == [(0.5, (0, 0, 4, 4))]
    assert _objects(boxes[1:], points[2:], mass[2:]) == [(1.0, (10, 10, 14, 14))]


def test_wrong_input(explainer, squares):
    e = explainer.explain(squares)
    with pytest.raises(ValueError, match="names of all classes.*Received: 2 names"):
        e.boxes(labels=NAMES[:2])
    with pytest.raises(TypeError, match="list of names.*Received: 'red'"):
        e.boxes(labels="red")
    with pytest.raises(ValueError, match="all 2 images. Received: 1 names"):
        e.boxes(labels=NAMES).to_coco(names=["a.jpg"])
    with pytest.raises(ValueError, match="from 1 to 3. Received: 4"):
        explainer.explain(squares, top=4)
    with pytest.raises(ValueError, match="in place of `targets`. Received: both"):
        explainer.explain(squares, 1, top=2)
