"""Maps of a run, kept so that nothing is explained twice."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Kept(NamedTuple):
    """Maps, the seconds they took, and what tells which images and classes they are of."""

    maps: np.ndarray
    seconds: float
    asked: np.ndarray


class Keeper:
    """Keeps maps in memory, and in a folder if there is one.

    Args:
        network: Name of the network.
        folder: Where to keep them beyond the run; None for nowhere.
    """

    def __init__(self, network: str, folder: Path | None = None) -> None:
        self._network, self._folder = network, folder
        self._kept: dict[tuple[str, str], Kept] = {}

    def maps(
        self,
        method: str,
        of: str,
        images: np.ndarray,
        targets: np.ndarray,
        explain: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> tuple[np.ndarray, float]:
        """Maps of prepared images, and the seconds it took to make them.

        Args:
            method: Name of the method.
            of: What the images are, such as `"blurred"`.
            images, targets: What `explain` takes.
            explain: The method.
        """
        key = method, of
        # What would change the maps, as far as one can tell without making them.
        sums = images.astype(np.float64).sum(axis=(1, 2, 3))
        asked = np.append(targets, np.round(sums, 1))
        path = self._path(method, of)
        if key not in self._kept and path is not None and path.exists():
            with np.load(path) as file:
                self._kept[key] = Kept(*(file[name] for name in Kept._fields))
        if key not in self._kept or not _same(self._kept[key].asked, asked):
            begin = time.perf_counter()
            maps = np.asarray(explain(images, targets), np.float32)
            self._kept[key] = Kept(maps, time.perf_counter() - begin, asked)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(path, **self._kept[key]._asdict())
        return self._kept[key].maps, float(self._kept[key].seconds)

    def _path(self, method: str, of: str) -> Path | None:
        if self._folder is None:
            return None
        name = re.sub(r"[^a-z0-9+]+", "-", f"{self._network} {method} {of}".lower()).strip("-")
        return self._folder / f"{name}.npz"


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b)
