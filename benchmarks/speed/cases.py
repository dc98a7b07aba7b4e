"""The networks that are measured, and what they are given."""

from typing import Any, NamedTuple

import numpy as np

from keras_backtrack.graph.compat import keras
from keras_backtrack.models.networks import efficientnet_lite0


class Case(NamedTuple):
    """A network, its input and batch size, how and for how many classes it is explained."""

    network: str
    size: int
    batch: int
    method: str = "backtrack"
    targets: int = 1
    contrast: bool = True


QUICK = [Case("VGG19", 224, 1)]
ALL = [
    *QUICK,
    Case("VGG19", 224, 8),
    Case("VGG19", 224, 1, targets=5),
    Case("VGG19", 128, 1),
    Case("VGG19", 128, 8),
    *(
        Case(network, 224, batch)
        for network in (
            "VGG16",
            "ResNet50",
            "DenseNet121",
            "MobileNetV2",
            "EfficientNet-Lite0",
            "EfficientNetB0",
        )
        for batch in (1, 8)
    ),
    # The paper's walk, and all paths down to the pixels.
    Case("VGG19", 224, 1, "viterbi", contrast=False),
    Case("VGG19", 224, 8, "viterbi", contrast=False),
    Case("VGG19", 224, 8, "viterbi"),
    Case("VGG19", 224, 8, "posterior", contrast=False),
    Case("ResNet50", 224, 8, "posterior", contrast=False),
]


def build(case: Case, **settings: Any) -> keras.Model:
    """The network; `keras.applications` with random weights that keep activations in range."""
    if case.network == "EfficientNet-Lite0":
        return efficientnet_lite0()
    shape = (case.size, case.size, 3)
    model = getattr(keras.applications, case.network)(weights=None, input_shape=shape, **settings)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel, *bias = layer.get_weights()
            spread = np.float32(np.sqrt(2 / np.prod(kernel.shape[:-1])))
            layer.set_weights([rng.standard_normal(kernel.shape, np.float32) * spread, *bias])
    return model


def images(case: Case) -> np.ndarray:
    """Noise, in the range of the network's own preprocessing."""
    noise = np.random.default_rng(1).normal(size=(case.batch, case.size, case.size, 3))
    scale = 0.5 if case.network == "EfficientNet-Lite0" else 50
    return (noise * scale).astype(np.float32)
