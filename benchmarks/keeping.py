"""Maps of a run, kept so that nothing is explained twice."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


class Keeper:
    """Keeps maps in memory, and in a folder if there is one.

    Args:
        network: Name of the network.
        folder: Where to keep them beyond the run; None for nowhere.
    """

    def __init__(self, network: str, folder: Path | None = None) -> None:
        self._network, self._folder = network, folder
        self._kept: dict[tuple[str, str], tuple[np.ndarray, float]] = {}

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
        if key in self._kept:
            return self._kept[key]
        # What would change the maps, as far as one can tell without making them.
        print_ = np.append(targets, np.round(images.astype(np.float64).sum(axis=(1, 2, 3)), 1))
        path = self._path(method, of)
        if path is not None and path.exists():
            with np.load(path) as file:
                if file["print"].shape == print_.shape and np.allclose(file["print"], print_):
                    self._kept[key] = file["maps"].astype(np.float32), float(file["seconds"])
                    return self._kept[key]
        begin = time.perf_counter()
        maps = np.asarray(explain(images, targets), np.float32)
        self._kept[key] = maps, time.perf_counter() - begin
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(path, maps=maps, seconds=self._kept[key][1], print=print_)
        return self._kept[key]

    def _path(self, method: str, of: str) -> Path | None:
        if self._folder is None:
            return None
        name = re.sub(r"[^a-z0-9+]+", "-", f"{self._network} {method} {of}".lower()).strip("-")
        return self._folder / f"{name}.npz"
