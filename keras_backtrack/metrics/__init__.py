"""How good an explanation is, in numbers: NumPy in, floats out.

Regions against masks (`precision`, `recall`, `f1`, `f_beta`, `iou`, `pixel_accuracy`), maps against
masks (`pointing_game`, `mass_inside`, `mae`), and maps alone (`sparsity`).
"""

from .maps import mae, mass_inside, pointing_game, sparsity
from .regions import f1, f_beta, iou, pixel_accuracy, precision, recall

__all__ = [
    "f1",
    "f_beta",
    "iou",
    "mae",
    "mass_inside",
    "pixel_accuracy",
    "pointing_game",
    "precision",
    "recall",
    "sparsity",
]
