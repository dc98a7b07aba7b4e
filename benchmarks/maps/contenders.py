"""Methods to compare: ours, CAMs and RISE in code of our own, peers, and controls.

A contender is made for a `Subject` and then takes (N, h, w, 3) prepared images and (N,) targets to
(N, h, w) float32 maps, at least 0.
"""

from collections.abc import Callable

import numpy as np

from . import peers
from .cams import DoesNotApply, cam, layercam
from .controls import CHANCE, COLOUR, CONTROLS, GAUSSIAN
from .ours import OURS, ours
from .rise import rise
from .subject import Subject

__all__ = [
    "CHANCE",
    "COLOUR",
    "CONTENDERS",
    "CONTROLS",
    "GAUSSIAN",
    "OURS",
    "Contender",
    "DoesNotApply",
    "Explain",
    "ours",
]

Explain = Callable[[np.ndarray, np.ndarray], np.ndarray]
Contender = Callable[[Subject], Explain]

CONTENDERS: dict[str, Contender] = {
    **OURS,
    "CAM": cam,
    "LayerCAM": layercam(),
    "RISE": rise,
    **peers.PEERS,
    **CONTROLS,
}
