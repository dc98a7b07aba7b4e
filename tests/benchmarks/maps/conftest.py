"""A network that knows red from blue, in a file."""

import numpy as np
import pytest
from networks import layers

from keras_backtrack.graph.compat import keras


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """How much red, and how much blue, there is; what is grey counts for nothing."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(2, 1, activation="relu", name="colours")(image)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="classes")(x))
    # Red over green, and blue over green, beyond what the noise of a JPEG does.
    colours = np.float32([[1, -0.2], [-1, -1], [-0.2, 1]])
    model.get_layer("colours").set_weights([colours[None, None], np.float32([-0.3, -0.3])])
    model.get_layer("classes").set_weights([40 * np.eye(2, dtype="f"), np.zeros(2, "f")])
    path = tmp_path_factory.mktemp("model") / "colours.keras"
    model.save(path)
    return path
