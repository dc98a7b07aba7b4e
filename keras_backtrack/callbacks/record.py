"""What the callback saw at one time."""

from typing import NamedTuple

import numpy as np

from ..explanation.decisions import Decision


class Record(NamedTuple):
    """What the callback saw at one time.

    Attributes:
        step: How many epochs (or batches) the callback had seen; 0 is before any.
        decisions: What was explained, N `Decision`s.
        moved: (N,) float32, the part of the attention, as a distribution, that is elsewhere than
            at the last time: 0 for none, 1 for all; NaN at the first.
        on_mask: (N,) float32, how much of the mass in pixels is on the mask; None without masks.
    """

    step: int
    decisions: list[Decision]
    moved: np.ndarray
    on_mask: np.ndarray | None

    @property
    def targets(self) -> np.ndarray:
        """(N,) int64, the explained classes."""
        return np.array([decision.target for decision in self.decisions], np.int64)

    @property
    def scores(self) -> np.ndarray:
        """(N,) float32, the output there."""
        return np.array([decision.score for decision in self.decisions], np.float32)

    @property
    def lost(self) -> np.ndarray:
        """(N,) float32, the mass that did not reach the input."""
        return np.array([decision.lost for decision in self.decisions], np.float32)

    @property
    def pixels(self) -> list[np.ndarray]:
        """For each decision (P, 2) int32 rows (row, column)."""
        return [decision.pixels for decision in self.decisions]

    @property
    def mass(self) -> list[np.ndarray]:
        """For each decision (P,) float32."""
        return [decision.mass for decision in self.decisions]
