"""Parts of a kernel's work at once, and what all kernels that spread mass have in common."""

import math
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from .compiled import compiled, helpers, threads

_WORTH_A_THREAD = 2**17  # numbers, below which a second thread does not pay


def at_once(
    part: Callable[[int, int], Any], first: int, last: int, numbers: int, grain: int = 1
) -> list[Any]:
    """Runs a kernel on parts of a range that do not touch each other, by threads if that pays.

    Args:
        part: Takes where a part begins and where it ends.
        first, last: Of the range.
        numbers: How many numbers are looked at in all.
        grain: Parts begin at multiples of it.

    Returns:
        What it returned for each part, in their order.
    """
    grains = -(-(last - first) // grain)
    parts = max(1, min(threads(), grains, numbers // _WORTH_A_THREAD))
    bounds = [min(first + grains * n // parts * grain, last) for n in range(parts + 1)]
    others = [helpers().submit(part, *bounds[n : n + 2]) for n in range(1, parts)]
    return [part(*bounds[:2]), *(other.result() for other in others)]


def is_in_order(image_index: np.ndarray, images: int) -> bool:
    """Whether there is one explanation for each image, in their order."""
    return len(image_index) == images and bool((np.diff(image_index, prepend=-1) == 1).all())


class _OneThread:
    """Keeps BLAS to one thread while anybody is inside."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit = _controller().limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.restore_original_limits()


# Keeps NumPy from sharing out matrix products: here each thread makes products of its own. Threads
# of BLAS wait for the next product busily, on the CPUs that TensorFlow and we need.
own_threads = _OneThread()


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def scratch(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Memory of this thread's for numbers that are soon forgotten.

    Of the system it would be had anew each time, which takes as long as filling it.
    """
    held: dict[str, np.ndarray] = _OWN.__dict__.setdefault("held", {})
    size = math.prod(shape)
    if name not in held or held[name].size < size:
        held[name] = np.empty(size, np.float32)
    return held[name][:size].reshape(shape)


_OWN = threading.local()


@compiled
def portion(asked, total):
    """Makes of totals the mass to be multiplied with each product; returns the mass that ends.

    That is what nothing contributes to, or so little that its share is no number.
    """
    unsplit = np.int32(0)
    for f in range(total.size):
        is_split = (total[f] > 0) & (total[f] < np.inf) & (abs(asked[f] / total[f]) < np.inf)
        unsplit = np.int32(unsplit | np.int32((asked[f] != 0) & (not is_split)))
    lost = np.float64(0)
    if unsplit:
        for f in range(total.size):
            is_split = total[f] > 0 and abs(asked[f] / total[f]) < np.inf
            if asked[f] != 0 and not total[f] < np.inf:
                lost = np.nan
            elif not is_split:
                lost += asked[f]
                total[f] = 0
    for f in range(total.size):
        total[f] = asked[f] / total[f] if total[f] > 0 else np.float32(0)
    return lost
