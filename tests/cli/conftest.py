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


@pytest.fixture(params=["sigmoid", None])
def model_of_one_unit(request, tmp_path):
    """Says yes or no, or how much; and the file's path."""
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(x))
    model = keras.Model(image, layers.Dense(1, activation=request.param)(x))
    path = tmp_path / "one.keras"
    model.save(path)
    return model, str(path)
