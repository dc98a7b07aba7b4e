"""Methods to compare: ours, controls that look at nothing, CAM; and peers.

A contender is made for a `Subject` and then takes (N, h, w, 3) prepared images and (N,) targets to
(N, h, w) float32 maps, at least 0.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras

from . import peers
from .subject import Subject

Explain = Callable[[np.ndarray, np.ndarray], np.ndarray]
Contender = Callable[[Subject], Explain]

GAUSSIAN, CHANCE = "centred Gaussian", "chance"


class DoesNotApply(Exception):
    """A method that a network is not made for."""


def ours(**settings) -> Contender:
    """A method of keras_backtrack; the map is the mass in each pixel."""

    def make(subject: Subject) -> Explain:
        explainer = BacktrackExplainer(subject.model, **settings)

        def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
            return explainer.explain(x, targets, batch_size=8).mass_map()

        return explain

    return make


def ours_at_a_layer(**settings) -> Contender:
    """The same, of the mass in the cells of the last layer that has at least one to 16 pixels."""

    def make(subject: Subject) -> Explain:
        name = _last_fine_layer(subject.model)
        explainer = BacktrackExplainer(subject.model, layers=[name], **settings)

        def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
            grid = explainer.explain(x, targets, batch_size=8).grid(name)
            return np.maximum(tf.image.resize(grid[..., None], subject.size).numpy()[..., 0], 0)

        return explain

    return make


def _last_fine_layer(model: keras.Model) -> str:
    return next(
        layer.name
        for layer in reversed(model.layers)
        # Convolutions without padding leave a cell or two less.
        if len(layer.output.shape) == 4 and 16 * (layer.output.shape[1] + 2) > model.input.shape[1]
    )


def cam(subject: Subject) -> Explain:
    """Class activation mapping (Zhou et al., *Learning deep features*, CVPR 2016)."""
    layers = [n for n in subject.model.layers if not isinstance(n, keras.layers.Dropout)]
    pools = [i for i, n in enumerate(layers) if isinstance(n, keras.layers.GlobalAveragePooling2D)]
    after = layers[pools[-1] + 1 :] if pools else layers
    if not pools or len(after) > 1 or not all(isinstance(n, keras.layers.Dense) for n in after):
        raise DoesNotApply("needs a global average before the last layer")
    features = keras.Model(subject.model.input, layers[pools[-1]].input)
    size = subject.size

    def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
        values = np.concatenate([features(x[i : i + 8]) for i in range(0, len(x), 8)])
        if after:
            # Read at every call: randomisation changes it.
            kernel = after[0].get_weights()[0]
            maps = np.einsum("nhwc,cn->nhw", values, kernel[:, targets])
        else:
            maps = values[np.arange(len(x)), :, :, targets]
        return np.maximum(tf.image.resize(maps[..., None], size).numpy()[..., 0], 0)

    return explain


def centred_gaussian(subject: Subject) -> Explain:
    """Looks at nothing, knows that photographers aim: a Gaussian a quarter of a side wide."""
    y, x = (np.linspace(-2, 2, n) for n in subject.size)
    bell = np.exp(-(y[:, None] ** 2 + x**2) / 2).astype(np.float32)
    return lambda x, targets: np.repeat(bell[None], len(x), axis=0)


def chance(subject: Subject) -> Explain:
    """Looks at nothing: uniform noise.

    Under a wide Gaussian it becomes a blob in the middle, since nothing lies beyond the edges: what
    is won by cross-validation alone is in this control.
    """
    rng = np.random.default_rng(0)
    return lambda x, targets: rng.random(x.shape[:3], np.float32)


OURS: dict[str, Contender] = {
    "viterbi (the paper's)": ours(),
    "viterbi, 3 channels, 3 positions": ours(channels=3, positions=3),
    "posterior": ours(method="posterior"),
    "contrastive": ours(method="contrastive"),
    "posterior, layer": ours_at_a_layer(method="posterior"),
    "contrastive, layer": ours_at_a_layer(method="contrastive"),
}
CONTENDERS: dict[str, Contender] = {
    **OURS,
    "CAM": cam,
    **peers.PEERS,
    GAUSSIAN: centred_gaussian,
    CHANCE: chance,
}
