"""What `explain` costs beside the network's own forward pass."""

import time

import numpy as np
import tensorflow as tf

from keras_backtrack import BacktrackExplainer
from keras_backtrack.propagation import reference

from . import memory
from .cases import Case, build, images
from .timing import alternate, summary

HEADER = (
    f"{'network':>18} {'method':>9} {'contrast':>8} {'size':>4} {'batch':>5} {'targets':>7} "
    f"{'forward ms':>24} {'explain ms':>24} {'ratio':>18} {'goal':>5} {'pixels':>6} {'first s':>7} "
    f"{'memory':>6} {'loops s':>7}"
)


def measure(case: Case, rounds: int, loops: bool = False, peaks: bool = False) -> dict:
    """Times one case.

    Args:
        case: What to time.
        rounds: How often.
        loops: Whether to run the plain-loop reference of the paper's walk, too, where that is the
            case: once, on the first image.
        peaks: Whether to measure the peak memory, too.

    Returns:
        The row of the result file.
    """
    model = build(case)
    x = images(case)
    targets = None if case.targets == 1 else [list(range(case.targets))] * case.batch
    compiled = tf.function(lambda x: model(x, training=False), autograph=False)
    explainer = BacktrackExplainer(model, method=case.method, contrast=case.contrast)
    begin = time.perf_counter()
    e = explainer.explain(x, targets)
    first_call = time.perf_counter() - begin
    times = alternate(
        {
            "predict_on_batch": lambda: model.predict_on_batch(x),
            "compiled": lambda: compiled(tf.constant(x)).numpy(),
            "explain": lambda: explainer.explain(x, targets),
        },
        rounds,
    )
    forward = min(("predict_on_batch", "compiled"), key=lambda name: np.median(times[name]))
    row = {
        **case._asdict(),
        "goal": case.goal,
        **{name: summary(milliseconds) for name, milliseconds in times.items()},
        "forward": forward,
        "ratio": round(float(np.median(times["explain"]) / np.median(times[forward])), 3),
        "ratio_of_rounds": summary(times["explain"] / times[forward]),
        "first_call_seconds": round(first_call, 2),
        "pixels": [len(pixels) for pixels in e.pixels],
        "traces": explainer._program.traces,
    }
    if peaks:
        row["memory_mib"] = memory.measure(case)
    if loops and case.method == "viterbi" and not case.contrast:
        begin = time.perf_counter()
        reference.backtrack(model, x[0], int(e.targets[0]))
        row["loops_seconds"] = round(time.perf_counter() - begin, 2)
    return row


def line(row: dict) -> str:
    """A row of a result file as text, below `HEADER`: medians, quartiles in brackets."""
    low, high = row["ratio_of_rounds"]["q1"], row["ratio_of_rounds"]["q3"]
    return (
        f"{row['network']:>18} {row['method']:>9} {'yes' if row['contrast'] else 'no':>8} "
        f"{row['size']:>4} {row['batch']:>5} "
        f"{row['targets']:>7} {_spread(row[row['forward']]):>24} {_spread(row['explain']):>24} "
        f"{row['ratio']:>5.2f} [{low:.2f}, {high:.2f}] {_goal(row):>5} {row['pixels'][0]:>6} "
        f"{row['first_call_seconds']:>7} {row.get('memory_mib', {}).get('ratio', '-'):>6} "
        f"{row.get('loops_seconds', '-'):>7}"
    )


def _goal(row: dict) -> str:
    """The goal, with a star where it is met."""
    if row["goal"] is None:
        return "-"
    return f"{row['goal']:.2f}" + "*" * (row["ratio"] <= row["goal"])


def _spread(summary: dict[str, float]) -> str:
    return "{median:.1f} [{q1:.1f}, {q3:.1f}]".format(**summary)
