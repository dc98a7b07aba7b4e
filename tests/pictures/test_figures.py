"""Figures of what there may be little of."""

import io

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


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
