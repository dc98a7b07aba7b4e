"""A network over videos, trained here, that folds the frames into the batch and back."""

import pytest
import tensorflow as tf
from evidence import CELLS, bright_cells, per_place, trained

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import KERAS_3, keras

layers = keras.layers
pytestmark = pytest.mark.slow
reshape = keras.ops.reshape if KERAS_3 else tf.reshape
FRAMES = 5


def test_frames_folded_into_the_batch(rng):
    """The class is the colour of one bright patch in one frame."""
    frames, patch, colour = bright_cells(rng, 1500)
    x = rng.uniform(0, 0.1, size=(1500, FRAMES, 16, 16, 3)).astype("float32")
    place = rng.integers(0, FRAMES, 1500)
    x[range(1500), place] = frames
    video = keras.Input((FRAMES, 16, 16, 3))
    y = reshape(video, (-1, 16, 16, 3))
    y = layers.Conv2D(12, 3, strides=2, padding="same", activation="relu")(y)
    y = layers.GlobalMaxPooling2D()(layers.Conv2D(12, 2, strides=2, activation="relu")(y))
    y = layers.GlobalMaxPooling1D()(reshape(y, (-1, FRAMES, 12)))
    model = keras.Model(video, layers.Dense(3, activation="softmax")(y))
    trained(model, x[:1200], colour[:1200], "sparse_categorical_crossentropy", 6)
    assert (model.predict(x[1200:], verbose=0).argmax(axis=1) == colour[1200:]).mean() > 0.95
    e = BacktrackExplainer(model).explain(x[1200:])

    def cell_of(points):
        return (points[:, 0] * CELLS + points[:, 1] // 4) * CELLS + points[:, 2] // 4

    heaviest = per_place(e, FRAMES * CELLS**2, cell_of).argmax(axis=1)
    assert (heaviest == place[1200:] * CELLS**2 + patch[1200:]).mean() >= 0.95
