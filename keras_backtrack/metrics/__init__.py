"""How good an explanation is, in numbers: NumPy in, floats out.

| | |
|---|---|
| regions against masks | `precision`, `recall`, `f1`, `f_beta`, `iou`, `pixel_accuracy` |
| maps against masks | `pointing_game`, `mass_inside`, `mae` |
| against the network | `insertion`, `deletion`, `cascading_randomization` |
| against another map | `rank_correlation`, `ssim`, `class_discrimination` |
| on changed pictures | `stability` under `blur`, `noise`, `jpeg`, `shift`, `flip` |
| alone | `sparsity` |
"""

from .faithfulness import deletion, insertion
from .maps import mae, mass_inside, pointing_game, sparsity
from .regions import f1, f_beta, iou, pixel_accuracy, precision, recall
from .sanity import Randomized, cascading_randomization
from .similarity import class_discrimination, rank_correlation, ssim
from .stability import Perturbation, blur, flip, jpeg, noise, shift, stability

__all__ = [
    "Perturbation",
    "Randomized",
    "blur",
    "cascading_randomization",
    "class_discrimination",
    "deletion",
    "f1",
    "f_beta",
    "flip",
    "insertion",
    "iou",
    "jpeg",
    "mae",
    "mass_inside",
    "noise",
    "pixel_accuracy",
    "pointing_game",
    "precision",
    "rank_correlation",
    "recall",
    "shift",
    "sparsity",
    "ssim",
    "stability",
]
