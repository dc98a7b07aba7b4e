"""How the cost of the paper's walk grows with nodes, channels, batch, size, depth and threads."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.runtime.host import usable_cpus

from . import settings
from .cases import Case, build, images
from .timing import alternate

layers = keras.layers


class Point(NamedTuple):
    """One measurement: what was varied, its value, nodes, and median milliseconds.

    Nodes are those held at all layers, for threads those at the input. Backtracking is what an
    explanation of prepared images takes, for threads what one takes beside the forward pass.
    """

    varied: str
    value: float
    nodes: int
    forward: float
    backtrack: float


VARIED = ("top_n", "channels", "batch", "size", "depth", "threads")


def measure(varied: str, rounds: int, quick: bool = False) -> Iterator[Point]:
    """Measures a series, smallest value first.

    Args:
        varied: One of `VARIED`.
        rounds: How often each is timed.
        quick: Take the first two values only.
    """
    for value in _values(varied)[: 2 if quick else None]:
        yield _point(varied, value, rounds)


def slope(points: list[Point], of: str = "value") -> float:
    """Slope of the straight line through log(backtrack time) over log(value): 1 is linear growth.

    Args:
        points: A series.
        of: `"value"`, or `"nodes"` for their number.

    Returns:
        NaN where all values are the same.
    """
    x = np.log([getattr(point, of) for point in points])
    if not np.ptp(x):
        return float("nan")
    y = np.log([point.backtrack for point in points])
    return float(np.polyfit(x, y, 1)[0])


def _values(varied: str) -> list[int]:
    cores = usable_cpus()
    return {
        "top_n": [1, 2, 5, 10, 20, 50, 100, 1000],
        "channels": [1, 2, 3, 5, 8],
        "batch": [1, 2, 4, 8, 16, 32],
        "size": [96, 128, 160, 224, 320, 512],
        "depth": [2, 4, 8, 16, 32],
        "threads": sorted({1, *(2**n for n in range(1, cores.bit_length())), cores}),
    }[varied]


def _point(varied: str, value: int, rounds: int) -> Point:
    if varied == "threads":
        # TensorFlow takes their number once, when it starts.
        (row,) = settings.run(["--cores", str(value)], rounds)["rows"]
        forward, explain = (row[name]["median"] for name in (row["forward"], "explain"))
        return Point(varied, value, row["pixels"][0], forward, max(explain - forward, 1e-3))
    limits = {varied: value} if varied in ("top_n", "channels") else {}
    if varied == "depth":
        model, case = _deep(value), Case(f"{value} convolutions", 56, 1)
    else:
        size = value if varied == "size" else 128 if varied == "batch" else 224
        case = Case("VGG16", size, value if varied == "batch" else 1)
        # Classes of a 512 × 512 picture would need a Dense layer of gigabytes.
        model = _headless(case) if varied == "size" else build(case)
    x = images(case)
    compiled = tf.function(lambda x: model(x, training=False), autograph=False)
    explainer = BacktrackExplainer(model, method="viterbi", contrast=False, **limits)
    prepared = explainer.prepare(x)
    e = prepared.explain()
    times = alternate(
        {"forward": lambda: compiled(tf.constant(x)).numpy(), "backtrack": prepared.explain},
        rounds,
    )
    nodes = sum(len(mass) for name in e.layers for mass in e.nodes(name).mass)
    medians = (float(np.median(times[name])) for name in ("forward", "backtrack"))
    keras.backend.clear_session()
    return Point(varied, value, nodes, *medians)


def _headless(case: Case) -> keras.Model:
    model = build(case, include_top=False)
    pooled = layers.GlobalAveragePooling2D()(model.output)
    return keras.Model(model.input, layers.Dense(10)(pooled))


def _deep(depth: int) -> keras.Model:
    """As many convolutions of one size, without pooling."""
    keras.utils.set_random_seed(0)
    x = image = keras.Input((56, 56, 3))
    for _ in range(depth):
        x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def write_csv(points: list[Point], path: Path) -> None:
    """All points, one row each."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Point._fields)
        writer.writerows(points)


def plot(series: dict[str, list[Point]], path: Path) -> None:
    """Backtrack and forward time of each series, on logarithmic axes, with the fitted slope."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(4 * len(series), 3.6), dpi=100, layout="constrained")
    axes = fig.subplots(1, len(series), squeeze=False)[0]
    for ax, (varied, points) in zip(axes, series.items(), strict=True):
        values = [point.value for point in points]
        ax.loglog(values, [p.backtrack for p in points], "o-", label="backtracking")
        ax.loglog(values, [p.forward for p in points], "s--", color="0.6", label="forward pass")
        ax.set_title(f"{varied}: slope {slope(points):.2f}")
        ax.set_xticks(values, map(str, values))
        ax.minorticks_off()
        ax.set_xlabel(varied)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("milliseconds")
    axes[0].legend()
    fig.savefig(path)
