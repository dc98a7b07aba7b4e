"""Networks trained here whose pictures or weights are laid out otherwise."""

import numpy as np
import pytest
from evidence import CELLS, add_to_cell, bright_cells, per_cell, trained

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import KERAS_3, keras

layers = keras.layers
pytestmark = pytest.mark.slow
_LOSS = "sparse_categorical_crossentropy"


def test_channels_first_network_points_at_the_bright_patch(rng):
    """Pictures of (channels, rows, columns); the class is the colour of one patch."""
    x, patch, colour = bright_cells(rng, 1500)
    x = np.moveaxis(x, 3, 1)
    image = keras.Input((3, 16, 16))
    y = layers.Conv2D(12, 3, strides=2, padding="same", activation="relu")(
        layers.Permute((2, 3, 1))(image)
    )
    y = layers.GlobalMaxPooling2D()(layers.Conv2D(12, 2, strides=2, activation="relu")(y))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(y))
    trained(model, x[:1200], colour[:1200], _LOSS, 6)
    assert (model.predict(x[1200:], verbose=0).argmax(axis=1) == colour[1200:]).mean() > 0.95
    e = BacktrackExplainer(model).explain(x[1200:])
    assert (per_cell(e).argmax(axis=1) == patch[1200:]).mean() >= 0.95
    assert e.mass_map().shape == (300, 16, 16)


_UP = np.array([0.8, 0.0, 0.8, 0.0])
_PATTERNS = [np.tile(_UP, (4, 1)), np.tile(_UP, (4, 1)).T, np.abs(np.add.outer(_UP, -_UP))]


@pytest.mark.skipif(not KERAS_3, reason="LoRA is Keras 3's")
def test_tuning_with_lora_moves_the_evidence(rng):
    """Of a red and a green pattern in cells of their own, first one decides, then the other."""
    count = 3000
    x = rng.uniform(0, 0.1, size=(count, 16, 16, 3)).astype("float32")
    cells = np.stack([rng.permutation(CELLS**2)[:2] for _ in range(count)])
    kinds = rng.integers(0, 3, (count, 2))
    for picture, where, which in zip(x, cells, kinds, strict=True):
        for channel in (0, 1):
            add_to_cell(picture, where[channel], channel, _PATTERNS[which[channel]])
    image = keras.Input((16, 16, 3))
    y = layers.Conv2D(32, 4, strides=4, activation="relu", trainable=False)(image)
    tuned = [layers.Dense(32, activation="relu"), layers.Dense(3, activation="softmax")]
    model = keras.Model(image, tuned[1](layers.GlobalMaxPooling2D()(tuned[0](y))))
    explainer = BacktrackExplainer(model)
    for channel in (0, 1):
        if channel:
            for layer in tuned:
                layer.enable_lora(8)
        trained(model, x[:-300], kinds[:-300, channel], _LOSS, 12)
        right = model.predict(x[-300:], verbose=0).argmax(axis=1) == kinds[-300:, channel]
        assert right.mean() > 0.95
        heaviest = per_cell(explainer.explain(x[-300:])).argmax(axis=1)
        assert (heaviest == cells[-300:, channel]).mean() >= 0.95
