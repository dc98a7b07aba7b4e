"""How functions are compiled, and how they share the work of many nodes among threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numba
import numpy as np
import tensorflow as tf

from ...runtime.host import usable_cpus


def compiled(function: Callable) -> Callable:
    """Decorator for functions in machine code, kept on disk from one process to the next.

    Without `fastmath` sums are added up in the order written, on every machine and thread count.
    """
    settings = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **settings)(function)
    except RuntimeError:
        # There is no folder that can be written to: every process compiles anew.
        return numba.njit(**settings)(function)


# Products from which a second thread pays, and how many numbers a part may put out.
_WORTH_A_THREAD, _MOST_NUMBERS = 2**19, 2**22

Part = tuple[np.ndarray, ...]


def in_parts(
    kernel: Callable[[int, int], Part], count: int, products: int, children: int
) -> list[np.ndarray]:
    """Runs a kernel on parts of some nodes, at once where that pays, and joins what comes out.

    Args:
        kernel: Takes the first node and the one behind the last; returns arrays.
        count: How many nodes there are.
        products: How many products each node takes.
        children: How many nodes each may lead to, which bounds the memory.
    """
    parts = max(1, count * children // _MOST_NUMBERS)
    if count * products > 2 * _WORTH_A_THREAD:
        parts = max(parts, min(threads(), count * products // _WORTH_A_THREAD))
    if parts == 1:
        return list(kernel(0, count))
    first, *others = pairwise(count * part // parts for part in range(parts + 1))
    # This thread takes part, which spares one more from being woken.
    elsewhere = [helpers().submit(kernel, *bounds) for bounds in others]
    found = [kernel(*first), *(part.result() for part in elsewhere)]
    return [np.concatenate(arrays) for arrays in zip(*found, strict=True)]


@cache
def threads() -> int:
    """How many threads share the work: as many as TensorFlow was told to use, or all cores.

    TensorFlow does not take another number once it has run.
    """
    return tf.config.threading.get_intra_op_parallelism_threads() or usable_cpus()


@cache
def helpers() -> ThreadPoolExecutor:
    """The threads that help the one that walks."""
    return ThreadPoolExecutor(threads(), thread_name_prefix="backtrack")
