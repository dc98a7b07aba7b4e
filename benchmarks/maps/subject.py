"""A network under study, and what methods of all kinds need of it."""

from functools import cached_property

import numpy as np
import tensorflow as tf

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.models.networks import Network


class Subject:
    """A network that methods explain.

    Args:
        network: The network.
        logits: The same up to the logits, (N, units), and sharing its weights; for a network whose
            end is another than a soft-max over all units.
        last_map: Name of the last layer with a map that is all there is; by default the last layer
            with a spatial output.
        side: How many photographs side by side have a copy of the network each.

    Attributes:
        network: The network.
        model: The same up to the logits: what follows a soft-max's saturation has no gradient, so
            gradients and CAMs are taken before it, as their papers do.
        whole: The same with its soft-max, which is what ours explains: there classes compete. It
            shares its weights with `model`, so that layers that are randomised are so in both.
    """

    def __init__(
        self,
        network: Network,
        logits: keras.Model | None = None,
        last_map: str | None = None,
        side: int = 1,
    ) -> None:
        self.network = network
        self.side = side
        if logits is None:
            self.model, self.whole = _without_softmax(network.model)
        else:
            self.model, self.whole = logits, network.model
        self._last_map = last_map

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input."""
        return self.network.size

    @property
    def units(self) -> int:
        """How many units can be explained: the classes, in a grid those of every cell."""
        return self.model.output_shape[-1]

    @property
    def last_map(self) -> str:
        """Name of the last layer with a spatial output, which CAM methods look at.

        Raises:
            ValueError: If there is none.
        """
        if self._last_map is not None:
            return self._last_map
        for layer in reversed(self.model.layers):
            output = layer.output
            if not isinstance(output, (list, tuple)) and len(output.shape) == 4:
                return layer.name
        raise ValueError("The network must have a layer with a spatial output. Received: none.")

    @cached_property
    def fine_layer(self) -> str | None:
        """Name of the layer that default explanations are read at; None where it is the pixels."""
        blank = np.zeros((1, *self.size, 3), np.float32)
        return BacktrackExplainer(self.whole).explain(blank).fine_layer

    def prepared(self, photos: np.ndarray) -> np.ndarray:
        """Photos, (N, h, w, 3) uint8, as the model takes them."""
        return self.network.preprocess(photos)

    @cached_property
    def _compiled(self):
        def scores(x):
            y = self.whole(x, training=False)
            return tf.reshape(y, [tf.shape(y)[0], -1])

        return tf.function(scores, autograph=False, reduce_retracing=True)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The network's answer, (N, units) float32."""
        batches = [self._compiled(tf.constant(x[i : i + 32])) for i in range(0, len(x), 32)]
        return np.concatenate(batches)


def _without_softmax(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The model up to the logits, and the whole of it on the same weights."""
    last = model.layers[-1] if model.layers else None
    if isinstance(last, keras.layers.Softmax) or (
        isinstance(last, keras.layers.Activation) and _is_softmax(last)
    ):
        return keras.Model(model.input, last.input), model
    if isinstance(last, (keras.layers.Dense, keras.layers.Conv2D)) and _is_softmax(last):
        config = {**last.get_config(), "activation": "linear"}
        # The cut is a new layer, so that the user's model stays as it is.
        linear = type(last).from_config(config)
        logits = keras.Model(model.input, linear(last.input))
        linear.set_weights(last.get_weights())
        softmax = keras.layers.Activation("softmax", name=f"{last.name}_softmax")
        return logits, keras.Model(model.input, softmax(logits.output))
    return model, model


def _is_softmax(layer: keras.layers.Layer) -> bool:
    return getattr(layer.activation, "__name__", "") == "softmax"
