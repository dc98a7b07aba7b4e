"""Networks of KerasHub trained here on tasks whose answer is known."""

import numpy as np
import pytest
from evidence import bright_cells, per_cell, per_place, trained

from keras_backtrack import BacktrackExplainer

pytest.importorskip("keras_hub", reason="needs keras-hub: `make test-hub`", exc_type=ImportError)
from keras_hub import models

pytestmark = pytest.mark.slow
_LOSS = "sparse_categorical_crossentropy"


def test_vision_transformer_points_at_the_bright_patch(rng):
    x, patch, colour = bright_cells(rng, 2500)
    backbone = models.ViTBackbone((16, 16, 3), 4, 2, 3, 24, 48)
    model = models.ViTImageClassifier(backbone, 3, activation="softmax")
    trained(model, x[:2200], colour[:2200], _LOSS, 6)
    assert (model.predict(x[2200:], verbose=0).argmax(axis=1) == colour[2200:]).mean() > 0.95
    e = BacktrackExplainer(model).explain(x[2200:])
    assert (per_cell(e).argmax(axis=1) == patch[2200:]).mean() >= 0.95


def test_bert_points_at_the_planted_word(rng):
    """The class is which of three words is among others."""
    count, steps = 3500, 10
    words = rng.integers(5, 30, (count, steps)).astype("int32")
    place, kind = rng.integers(1, steps, count), rng.integers(0, 3, count)
    words[:, 0], words[range(count), place] = 1, 2 + kind
    x = {"token_ids": words, "padding_mask": np.ones_like(words), "segment_ids": 0 * words}
    some = {key: values[-300:] for key, values in x.items()}
    backbone = models.BertBackbone(30, 1, 2, 24, 48, dropout=0.0, max_sequence_length=steps)
    model = models.BertTextClassifier(backbone, 3, activation="softmax", dropout=0.0)
    trained(model, {key: values[:-300] for key, values in x.items()}, kind[:-300], _LOSS, 6)
    assert (model.predict(some, verbose=0).argmax(axis=1) == kind[-300:]).mean() > 0.95
    e = BacktrackExplainer(model).explain(some)
    assert e.input_mass.sum(axis=1).max() < 1.0001
    heaviest = per_place(e.of("token_ids"), steps, lambda points: points[:, 0]).argmax(axis=1)
    assert (heaviest == place[-300:]).mean() >= 0.95
