"""What the callback saw at one time."""

from typing import NamedTuple

import numpy as np


class Record(NamedTuple):
    """What the callback saw at one time.

    Attributes:
        step: How many epochs (or batches) the callback had seen; 0 is before any.
        targets: (N,) int64, the explained classes.
        scores: (N,) float32, the output there.
        pixels: For each decision (P, 2) int32 rows (row, column).
        mass: For each (P,) float32.
        lost: (N,) float32, the mass that did not reach the input.
        moved: (N,) float32, the part of the attention, as a distribution, that is elsewhere than
            at the last time: 0 for none, 1 for all; NaN at the first.
        on_mask: (N,) float32, how much of the mass in pixels is on the mask; None without masks.
    """

    step: int
    targets: np.ndarray
    scores: np.ndarray
    pixels: list[np.ndarray]
    mass: list[np.ndarray]
    lost: np.ndarray
    moved: np.ndarray
    on_mask: np.ndarray | None
