"""Small networks that several tests of the explainer ask."""

from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras

NAMES = ["tabby, tabby cat", "tiger cat", "lynx", "fox", "dog"]


def explainer_of_four() -> BacktrackExplainer:
    """Four linear outputs of (6, 5, 3) images."""
    image = keras.Input((6, 5, 3))
    x = layers.Flatten()(layers.Conv2D(2, 3)(image))
    return BacktrackExplainer(keras.Model(image, layers.Dense(4)(x)))


def explainer_of_five(**settings) -> BacktrackExplainer:
    """Five classes of (12, 10, 3) images, called `NAMES`."""
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 10, 3))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    x = layers.Dense(5, activation="softmax")(layers.Flatten()(x))
    return BacktrackExplainer(keras.Model(image, x), None, 2, 2, **settings)
