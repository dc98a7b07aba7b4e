"""A network under study, and what methods of all kinds need of it."""

from functools import cached_property

import numpy as np
import tensorflow as tf

from keras_backtrack.graph.compat import keras
from keras_backtrack.models.networks import Network


class Subject:
    """A network that methods explain.

    Attributes:
        network: The network.
        model: The same up to the logits: what follows a soft-max's saturation explains nothing, so
            gradients and CAMs are taken before it, as their papers do. Ours gives the same there.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.model, self.has_softmax = _without_softmax(network.model)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input."""
        return self.network.size

    def prepared(self, photos: np.ndarray) -> np.ndarray:
        """Photos, (N, h, w, 3) uint8, as the model takes them."""
        return self.network.preprocess(photos)

    @cached_property
    def _compiled(self):
        def scores(x):
            y = self.model(x, training=False)
            return tf.nn.softmax(y) if self.has_softmax else y

        return tf.function(scores, autograph=False, reduce_retracing=True)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The network's answer, (N, classes) float32."""
        batches = [self._compiled(tf.constant(x[i : i + 32])) for i in range(0, len(x), 32)]
        return np.concatenate(batches)


def _without_softmax(model: keras.Model) -> tuple[keras.Model, bool]:
    last = model.layers[-1] if model.layers else None
    if isinstance(last, keras.layers.Softmax) or (
        isinstance(last, keras.layers.Activation) and _is_softmax(last)
    ):
        return keras.Model(model.input, last.input), True
    if isinstance(last, (keras.layers.Dense, keras.layers.Conv2D)) and _is_softmax(last):
        config = {**last.get_config(), "activation": "linear"}
        # The cut is a new layer, so that the user's model stays as it is.
        linear = type(last).from_config(config)
        logits = keras.Model(model.input, linear(last.input))
        linear.set_weights(last.get_weights())
        return logits, True
    return model, False


def _is_softmax(layer: keras.layers.Layer) -> bool:
    return getattr(layer.activation, "__name__", "") == "softmax"
