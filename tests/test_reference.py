"""The reference against numbers worked out by hand."""

import numpy as np

from keras_backtrack.compat import keras

layers = keras.layers


def model_of(shape, layer, *weights):
    image = keras.Input(shape)
    x = layer(image)
    model = keras.Model(image, layers.Flatten(name="flat")(x))
    layer.set_weights([np.array(w, np.float32) for w in weights])
    return model
