"""Networks trained here on tasks whose answer is known: does the explanation point at it?"""

import numpy as np
import pytest
from evidence import bright_cells, per_cell, per_place, trained

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras

layers = keras.layers
pytestmark = pytest.mark.slow

MARKED, STEPS = 7, 12


@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_network_points_at_the_marked_token(kind, method, rng):
    tokens = rng.integers(0, 20, (4000, STEPS))
    tokens[tokens == MARKED] = MARKED + 1
    is_marked, place = rng.integers(0, 2, 4000), rng.integers(0, STEPS, 4000)
    tokens[is_marked == 1, place[is_marked == 1]] = MARKED
    sequence = keras.Input((STEPS,), dtype="int32")
    x = getattr(layers, kind)(16)(layers.Embedding(20, 8)(sequence))
    model = keras.Model(sequence, layers.Dense(1, activation="sigmoid")(x))
    trained(model, tokens[:3000], is_marked[:3000], "binary_crossentropy", 8)
    held_out = np.flatnonzero(is_marked[3000:])[:300] + 3000
    assert model.predict(tokens[held_out], verbose=0).mean() > 0.95
    e = BacktrackExplainer(model, method=method).explain(tokens[held_out])
    heaviest = per_place(e, STEPS, lambda points: points[:, 0]).argmax(axis=1)
    assert (heaviest == place[held_out]).mean() >= 0.95


def test_digits_row_by_row_end_on_the_digit(rng):
    """Digits of 8 rows among 14, the others empty but for noise."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    rows = np.abs(rng.normal(size=(len(digits.images), 14, 8)) * 0.05)
    first = rng.integers(0, 7, len(rows))
    for picture, image, start in zip(rows, digits.images, first, strict=True):
        picture[start : start + 8] += image / 16
    picture = keras.Input((14, 8))
    model = keras.Model(picture, layers.Dense(10, activation="softmax")(layers.LSTM(64)(picture)))
    trained(model, rows[:1500], digits.target[:1500], "sparse_categorical_crossentropy", 25)
    x, start = rows[1500:], first[1500:]
    right = model.predict(x, verbose=0).argmax(axis=1) == digits.target[1500:]
    assert right.mean() > 0.8
    e = BacktrackExplainer(model, method="posterior").explain(x[right])
    totals = per_place(e, 14, lambda points: points[:, 0])
    heaviest = np.argsort(-totals, axis=1)[:, :3]
    on_digit = (heaviest >= start[right, None]) & (heaviest < start[right, None] + 8)
    assert on_digit.mean() >= 0.95


class Positions(layers.Layer):
    """Adds a learned vector to each token."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], name="table", initializer="zeros")
        self.built = True

    def call(self, x):
        return x + self.table


def vision_transformer():
    """Sixteen patches of 4 × 4 pixels, two blocks."""
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(24, 4, strides=4)(image)
    x = Positions()(layers.Reshape((16, 24))(x))
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(3, 8, dropout=0.1)(y, y)])
        y = layers.Dense(48, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(24)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
def test_vision_transformer_points_at_the_bright_patch(method, rng):
    """The class is the colour of one patch among dim noise."""
    x, patch, colour = bright_cells(rng, 2500)
    model = trained(
        vision_transformer(), x[:2200], colour[:2200], "sparse_categorical_crossentropy", 6
    )
    assert (model.predict(x[2200:], verbose=0).argmax(axis=1) == colour[2200:]).mean() > 0.95
    e = BacktrackExplainer(model, method=method).explain(x[2200:])
    assert (per_cell(e).argmax(axis=1) == patch[2200:]).mean() >= 0.95
