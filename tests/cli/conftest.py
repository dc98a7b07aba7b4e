"""A network and a photo, as files."""

import numpy as np
import pytest
from networks import layers
from PIL import Image

from keras_backtrack.graph.compat import keras


@pytest.fixture
def model(tmp_path):
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(x))
    path = tmp_path / "model.keras"
    keras.Model(image, layers.Dense(5, activation="softmax")(x)).save(path)
    return str(path)


@pytest.fixture
def photo(tmp_path, rng):
    path = tmp_path / "photo.png"
    Image.fromarray(rng.integers(0, 256, (60, 90, 3), np.uint8)).save(path)
    return str(path)
