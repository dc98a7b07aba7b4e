"""Timing that a noisy machine disturbs as little as can be."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np


def alternate(
    contenders: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 3
) -> dict[str, np.ndarray]:
    """Runs contenders in turns, so that a slow moment of the machine hits all of them.

    Args:
        contenders: What to time, by name.
        rounds: How often each is timed. Another one begins each round.
        warm_up: How often each runs untimed before.

    Returns:
        (rounds,) milliseconds of wall time, by name.
    """
    names = list(contenders)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(warm_up):
        for run in contenders.values():
            run()
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            begin = time.perf_counter()
            contenders[name]()
            times[name].append(time.perf_counter() - begin)
    return {name: 1000 * np.array(seconds) for name, seconds in times.items()}


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = np.percentile(values, [25, 50, 75]).round(4).tolist()
    return {"median": median, "q1": low, "q3": high}
