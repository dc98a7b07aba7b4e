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

    @property
    def goal(self) -> float | None:
        """What `explain` ÷ forward pass is to be at most; None where there is no goal."""
        way = "walk" if self.method == "viterbi" and not self.contrast else self.method
        if self.targets > 1 or self.size != 224:
            return None
        return _GOALS.get(way, {}).get(self.network, {}).get(self.batch)


# Set before they were reached, by what a transposed pass to the same layer costs.
_GOALS = {
    "backtrack": {
        "VGG19": {1: 1.20, 8: 1.12},
        "ResNet50": {1: 1.45, 8: 1.30},
        "MobileNetV2": {1: 1.60, 8: 1.35},
        "EfficientNet-Lite0": {1: 1.60, 8: 1.40},
    },
    "walk": {
        "VGG19": {1: 1.04, 8: 1.03},
        "ResNet50": {1: 1.12, 8: 1.05},
        "MobileNetV2": {1: 1.25, 8: 1.10},
        "EfficientNet-Lite0": {1: 1.20, 8: 1.07},
        "DenseNet121": {1: 1.30, 8: 1.12},
        "EfficientNetB0": {1: 1.25, 8: 1.12},
    },
    "posterior": {
        name: {8: 3.0} for name in ("VGG19", "ResNet50", "MobileNetV2", "EfficientNet-Lite0")
    },
}

QUICK = [Case("VGG19", 224, 1)]
_NETWORKS = "VGG16", *_GOALS["walk"]
ALL = [
    *(Case(network, 224, batch) for network in _NETWORKS for batch in (1, 8)),
    Case("VGG19", 224, 1, targets=5),
    Case("VGG19", 128, 1),
    # The paper's walk, and all paths down to the pixels.
    *(
        Case(network, 224, batch, "viterbi", contrast=False)
        for network in _NETWORKS
        for batch in (1, 8)
    ),
    Case("VGG19", 224, 8, "viterbi"),
    *(Case(network, 224, 8, "posterior", contrast=False) for network in _GOALS["posterior"]),
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
