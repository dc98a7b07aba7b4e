"""Class activation maps in code of our own: at the last map, and at any layer."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_backtrack.graph.compat import keras

from .ours import FINE
from .resizing import to_pixels
from .subject import Subject

Explain = Callable[[np.ndarray, np.ndarray], np.ndarray]
_BATCH = 8


class DoesNotApply(Exception):
    """A method that a network is not made for."""


def cam(subject: Subject) -> Explain:
    """Class activation mapping (Zhou et al., *Learning deep features*, CVPR 2016)."""
    layers = [n for n in subject.model.layers if not isinstance(n, keras.layers.Dropout)]
    pools = [i for i, n in enumerate(layers) if isinstance(n, keras.layers.GlobalAveragePooling2D)]
    after = layers[pools[-1] + 1 :] if pools else layers
    if not pools or len(after) > 1 or not all(isinstance(n, keras.layers.Dense) for n in after):
        raise DoesNotApply("needs a global average before the last layer")
    features = keras.Model(subject.model.input, layers[pools[-1]].input)

    def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
        values = np.concatenate([features(x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)])
        if after:
            # Read at every call: randomisation changes it.
            kernel = after[0].get_weights()[0]
            maps = np.einsum("nhwc,cn->nhw", values, kernel[:, targets])
        else:
            maps = values[np.arange(len(x)), :, :, targets]
        return to_pixels(maps, subject)

    return explain


def layercam(layer: str | None = FINE) -> Callable[[Subject], Explain]:
    """LayerCAM (Jiang et al., *LayerCAM: exploring hierarchical class activation maps for
    localization*, IEEE Transactions on Image Processing, 2021).

    Each unit's activation times the gradient of the class's logit there, of that the positive part,
    summed over channels. Behind a ReLU these are their eqs. 4 to 6; where activations may be below
    0, which theirs are not, two negatives count as well, or much of what speaks for a class would
    be left out.

    Args:
        layer: Name of the layer; `FINE` for the one that our default explanations are read at; None
            for the input.
    """

    def make(subject: Subject) -> Explain:
        name = subject.fine_layer if layer == FINE else layer
        model = subject.model
        at = model.input if name is None else _output_of(model, name)
        both = keras.Model(model.input, [at, model.output])

        @tf.function(autograph=False, reduce_retracing=True)
        def maps_of(x: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                cells, logits = both(x, training=False)
                asked = tf.gather(logits, targets, axis=1, batch_dims=1)
            gradient = tape.gradient(asked, x if name is None else cells)
            return tf.reduce_sum(tf.nn.relu(gradient * cells), axis=-1)

        def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
            parts = (slice(i, i + _BATCH) for i in range(0, len(x), _BATCH))
            found = [
                maps_of(tf.constant(x[part]), tf.constant(targets[part], tf.int32))
                for part in parts
            ]
            return to_pixels(np.concatenate(found), subject)

        return explain

    return make


def _output_of(model: keras.Model, name: str) -> tf.Tensor:
    try:
        return model.get_layer(name).output
    except ValueError:
        raise DoesNotApply(f"needs {name!r} among the network's own layers") from None
