"""What an explanation costs beside other people's methods, on one network and picture."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ..maps.contenders import CONTENDERS, CONTROLS, Contender, DoesNotApply
from ..maps.subject import Subject
from .cases import Case, build, images
from .timing import alternate, summary

FORWARD = "forward pass"
# Milliseconds from which a method is timed in fewer rounds.
_SLOW, _ROUNDS_OF_SLOW = 5000, 3


def measure(
    case: Case,
    rounds: int,
    methods: Mapping[str, Contender] = CONTENDERS,
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Times all methods in turns.

    Args:
        case: Network, size and batch.
        rounds: How often each is timed; a method that takes seconds, three times.
        methods: By name.
        say: Told what a method's first call took, for some take minutes.

    Returns:
        A row for each method, the fastest first and those that break last: `method`,
        `milliseconds` (median and quartiles), `ratio` to the forward pass; or `error`.
    """
    subject = Subject(_Network(case))
    x = images(case)
    compiled = tf.function(lambda x: subject.model(x, training=False), autograph=False)
    runs = {FORWARD: lambda: compiled(tf.constant(x)).numpy()}
    targets = runs[FORWARD]().argmax(axis=1)
    errors, slow = {}, set()
    for name, contender in methods.items():
        if name in CONTROLS:
            continue
        try:
            explain = contender(subject)
            begin = time.perf_counter()
            explain(x, targets)
            say(f"{name}: first call {time.perf_counter() - begin:.1f} s")
            begin = time.perf_counter()
            explain(x, targets)
        except DoesNotApply as error:
            errors[name] = f"does not apply: it {error}"
        except Exception as error:  # whatever a peer breaks with is its entry
            errors[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        else:
            runs[name] = lambda explain=explain: explain(x, targets)
            if 1000 * (time.perf_counter() - begin) > _SLOW:
                slow.add(name)
    fast = {name: run for name, run in runs.items() if name not in slow}
    times = alternate(fast, rounds, warm_up=1)
    if slow:
        again = {name: runs[name] for name in [FORWARD, *sorted(slow)]}
        times |= {n: t for n, t in alternate(again, _ROUNDS_OF_SLOW, 0).items() if n in slow}
    forward = np.median(times[FORWARD])
    rows = [
        {
            "method": name,
            "milliseconds": summary(values),
            "ratio": round(float(np.median(values) / forward), 3),
        }
        for name, values in times.items()
    ]
    rows.sort(key=lambda row: row["milliseconds"]["median"])
    return rows + [{"method": name, "error": error} for name, error in errors.items()]


class _Network:
    """A network with random weights, as `Subject` wants it."""

    def __init__(self, case: Case) -> None:
        self.model = build(case)
        self.size = (case.size, case.size)


def line(row: dict[str, Any]) -> str:
    """A row as text."""
    if "error" in row:
        return f"{row['method']:>32} {row['error']}"
    spread = "{median:9.1f} [{q1:.1f}, {q3:.1f}] ms".format(**row["milliseconds"])
    return f"{row['method']:>32} {spread:>36} {row['ratio']:>7.2f}"
