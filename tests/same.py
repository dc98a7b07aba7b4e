"""A small network that is explained in several ways, and that these come to the same."""

import numpy as np
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


def small_explainer(**settings) -> BacktrackExplainer:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 7, 3))
    x = layers.MaxPooling2D()(layers.Conv2D(4, 3, activation="relu", name="conv")(image))
    model = keras.Model(image, layers.Dense(4, activation="softmax")(layers.Flatten()(x)))
    return BacktrackExplainer(model, **settings)


def assert_same(a, b):
    assert a.image_index.tolist() == b.image_index.tolist()
    assert a.targets.tolist() == b.targets.tolist() and a.input == b.input and a.shape == b.shape
    assert a.versus.tolist() == b.versus.tolist() and a.side.tolist() == b.side.tolist()
    np.testing.assert_allclose(a.scores, b.scores, rtol=1e-5)
    for i in range(len(b)):
        np.testing.assert_array_equal(a.pixels[i], b.pixels[i])
        np.testing.assert_allclose(a.mass[i], b.mass[i], atol=1e-6)
