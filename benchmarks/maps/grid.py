"""Mosaics of photographs: how much of a map lies in the cell whose class is asked about.

- `grid`, the grid pointing game: Böhle et al., *Convolutional dynamic alignment networks for
  interpretable classifications*, CVPR 2021; Rao et al., *Towards better understanding attribution
  methods*, CVPR 2022 (GridPG). The network is fully convolutional. What it would make of two cells
  together is not known, so that a share of 1 is an aim and no must.
- `difull`, DiFull of Rao et al.: each cell has a copy of the network to itself. No other cell can
  matter, and anything below 1 is wrong.
- `dipart`, DiPart of Rao et al.: cells have copies up to the last map, whose average mixes them.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from keras_backtrack import metrics

from .contenders import Contender
from .mosaics import Mosaics, cells, disjoint, enlarged, mosaics
from .scoring import smooth
from .subject import Subject

SIDES = {"grid": (2, 3), "difull": (2,), "dipart": (2,)}
KINDS = tuple(SIDES)
_AT_ONCE = 2  # mosaics


class Grids:
    """Measures methods on mosaics that are made once.

    Args:
        subject: The network for one photograph.
        photos: (N, h, w, 3) uint8.
        count: How many mosaics of each size.
        least: The probability from which on the network is sure of a photograph.
    """

    def __init__(
        self, subject: Subject, photos: np.ndarray, count: int, least: float = 0.9
    ) -> None:
        self._subject = subject
        self.mosaics: Callable[[int], Mosaics] = cache(
            lambda side: mosaics(subject, photos, side, count, least)
        )
        self._network: Callable[[str, int], Subject] = cache(
            lambda kind, side: (
                enlarged(subject, side)
                if kind == "grid"
                else disjoint(subject, side, is_full=kind == "difull")
            )
        )

    def measure(
        self, kind: str, contender: Contender, sigma: float, sides: Sequence[int] | None = None
    ) -> dict[str, np.ndarray]:
        """Shares of each cell's map that lie in it, and which maps are empty.

        Args:
            kind: One of `KINDS`.
            contender: The method.
            sigma: Width of the Gaussian, in shares of the longer side of a photograph.
            sides: How many photographs side by side. [`SIDES`]

        Returns:
            For each size, such as `"2 × 2"`, (mosaics · cells,) shares of the raw map; with
            `", smoothed"` behind it of the map under the Gaussian; with `", empty"` 1 where the map
            is zero everywhere, which counts as a share of 0.

        Raises:
            ValueError: If there are too few photographs.
            DoesNotApply: If the network cannot be taken apart, or the method is not made for it.
        """
        found = {}
        for side in SIDES[kind] if sides is None else sides:
            rows = self._of_side(kind, side, contender, sigma)
            names = ("", ", smoothed", ", empty")
            found |= {f"{side} × {side}{n}": row for n, row in zip(names, rows, strict=True)}
        return found

    def _of_side(self, kind: str, side: int, contender: Contender, sigma: float) -> np.ndarray:
        drawn, network = self.mosaics(side), self._network(kind, side)
        explain, count = contender(network), side**2
        units = drawn.classes
        if kind == "difull":
            units = units + np.arange(count) * (network.units // count)
        own = cells(network.size, side)
        found = []
        for begin in range(0, len(units), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            x = np.repeat(network.prepared(drawn.photos[part]), count, axis=0)
            maps = explain(x, units[part].ravel())
            masks = np.tile(own, (len(x) // count, 1, 1))
            smoothed = smooth(maps, sigma / side)
            shares = [metrics.mass_inside(m, masks, average=None) for m in (maps, smoothed)]
            found.append([*shares, (maps.max(axis=(1, 2)) <= 0).astype(np.float64)])
        return np.concatenate(found, axis=1)
