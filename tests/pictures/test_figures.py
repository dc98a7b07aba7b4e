"""Figures of what there may be little of, or too much."""

import io

import numpy as np
import pytest
from networks import layers
from PIL import Image

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.pictures import figures


@pytest.mark.parametrize("contrast", [True, False])
@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
def test_a_decision_without_pixels_is_drawn(method, contrast, tmp_path, rng):
    """Of a black picture nothing contributes; the other decision of the batch is drawn as ever."""
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(2)(x))
    explainer = BacktrackExplainer(model, method=method, contrast=contrast)
    pictures = np.stack([rng.uniform(size=(8, 8, 3)), np.zeros((8, 8, 3))]).astype(np.float32)
    e = explainer.explain(pictures, 0)
    assert len(e.pixels[0]) and not len(e.pixels[1]) and e.lost[1] == pytest.approx(1)
    figure = e.plot()
    figure.savefig(io.BytesIO())
    texts = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    assert texts.count(["no pixel was reached"]) == 1
    e[1].save(tmp_path / "one.png")
    assert e[1]._repr_png_() is not None
    explainer.explain(pictures, 0, versus=1).compare().savefig(io.BytesIO())


@pytest.mark.parametrize(
    ("height", "width"), [(1, 3000), (3000, 1), (1, 1), pytest.param(60_000, 2, id="tallest")]
)
def test_strips_are_drawn_at_a_size_that_one_can_see(height, width):
    photo, point = np.zeros((height, width, 3), np.uint8), np.zeros((1, 2), np.int32)
    flat = np.zeros((height, width), np.float32)
    row = figures.Row(photo, point, np.ones(1), flat, flat > 0, np.zeros((0, 4)), "a strip")
    pair = figures.Pair(photo, (flat, flat), point, np.ones(1), ("a strip",) * 4)
    for drawn in (
        figures.figure([row]),
        figures.comparison([pair]),
        figures.named_boxes([(photo, [([0, 0, height, width], 1, "a strip")])], 1),
    ):
        size = Image.open(io.BytesIO(figures.png(drawn))).size
        assert max(size) < 2000 and min(size) > 20


def test_many_decisions_are_drawn_less_sharp_than_few():
    """What has more pixels in a direction cannot be written."""
    tall, fewest = np.zeros((8, 1, 3), np.uint8), 2**16
    for count in (1, 60):
        fig, _ = figures._grid([tall] * count, 1)
        assert fig.get_figheight() * fig.dpi < 2**16
        assert (fig.dpi == 100) == (count == 1)
        fewest = min(fewest, fig.dpi)
    assert fewest > 50


def test_pixels_that_hold_nothing_are_drawn():
    photo, flat = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4))
    nothing = np.zeros((2, 2), np.int32), np.zeros(2)
    pair = figures.Pair(photo, (flat, flat), *nothing, ("nothing",) * 4)
    with np.errstate(all="raise"):
        figures.png(figures.comparison([pair]))
