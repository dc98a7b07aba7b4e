"""The methods that are compared."""

from networks import layers

from benchmarks.maps import contenders
from keras_backtrack.graph.compat import keras


def test_the_layer_that_is_fine_enough():
    image = keras.Input((64, 64, 3))
    fine = layers.MaxPooling2D(16, name="fine")(image)
    x = layers.Flatten()(layers.MaxPooling2D(2, name="coarse")(fine))
    model = keras.Model(image, layers.Dense(2)(x))
    assert contenders._last_fine_layer(model) == "fine"
