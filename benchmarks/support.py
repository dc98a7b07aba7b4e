"""Which networks of `keras.applications` can be explained, and at what cost."""

import gc
import inspect
import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras

from .libraries import page
from .speed.timing import alternate, summary

# The smallest picture that one of them takes is the smallest of these that it does not refuse.
_SIZES = (32, 71, 75, 96, 128, 224, 331)


def names() -> list[str]:
    """All networks of this version of Keras."""
    return [
        name
        for name, build in vars(keras.applications).items()
        if inspect.isfunction(build) and name[0].isupper()
    ]


def measure(name: str, size: int | None, rounds: int) -> dict:
    """Explains one picture of noise with a network of random weights.

    Args:
        name: Of the network.
        size: Side of the picture; None for the smallest that the network takes.
        rounds: How often explaining and the forward pass are timed.

    Returns:
        The row of the result file: the input size, whether it works and all mass is accounted for,
        nodes at the input, explain ÷ forward, seconds of the first call; or the error.
    """
    model, size = build(name, size)
    x = np.random.default_rng(1).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    row = {"network": name, "size": size, "layers": len(model.layers)}
    try:
        explainer = BacktrackExplainer(model)
        begin = time.perf_counter()
        e = explainer.explain(x)
        row["first_call_seconds"] = round(time.perf_counter() - begin, 1)
    except Exception as error:  # Whatever stands in the way is what the table says.
        return {**row, "works": False, "error": f"{type(error).__name__}: {error}"[:300]}
    compiled = tf.function(lambda x: model(x, training=False), autograph=False)
    times = alternate(
        {"forward": lambda: compiled(tf.constant(x)).numpy(), "explain": lambda: explainer(x)},
        rounds,
    )
    whole = float(e.mass[0].sum() + e.lost[0])
    return {
        **row,
        "works": abs(whole - 1) < 1e-4,
        "nodes": len(e.mass[0]),
        **{key: summary(milliseconds) for key, milliseconds in times.items()},
        "ratio": round(float(np.median(times["explain"]) / np.median(times["forward"])), 2),
    }


def build(name: str, wanted: int | None) -> tuple[keras.Model, int]:
    """A network and its size; random weights that keep activations in range."""
    sizes = _SIZES if wanted is None else (wanted,)
    for size in sizes:
        try:
            shape = (size, size, 3)
            model = getattr(keras.applications, name)(weights=None, input_shape=shape)
            break
        except ValueError:
            if size == sizes[-1]:
                raise
    rng = np.random.default_rng(0)
    for weight in model.weights:
        path, shape = getattr(weight, "path", weight.name), tuple(weight.shape)
        if "kernel" in path:
            fan_in = np.prod(shape[:-2] if "depthwise" in path else shape[:-1])
            weight.assign(rng.standard_normal(shape, np.float32) * np.sqrt(2 / fan_in))
    return model, size


def forget() -> None:
    """Frees the last network's memory."""
    keras.backend.clear_session()
    gc.collect()


def table(records: Iterable[dict]) -> str:
    """A page of what the result files say, one table for each version of Keras."""
    parts = [
        "# Networks of keras.applications\n\n"
        "Written by `python -m benchmarks support`: random weights, one picture of noise at the "
        "smallest size a network takes, one of each family also at 224; default settings. *ratio* "
        "is explain ÷ compiled forward pass, medians of turns; at the smallest sizes it is the "
        "walk's fixed cost that shows.\n"
    ]
    for record in records:
        packages = record["host"]["packages"]
        parts.append(
            f"## Keras {packages['keras']}, TensorFlow {packages['tensorflow']}\n\n"
            f"{record['host']['date'][:10]}, {record['host']['cores']} cores of "
            f"{record['host']['cpu']}.\n\n"
            "| network | input | works | nodes at the input | ratio |\n|---|---|---|---|---|\n"
            + "\n".join(map(_line, record["rows"]))
            + "\n"
        )
        tried = {row["network"] for row in record["rows"]}
        left = [name for name in record["networks"] if name not in tried]
        if left:
            parts.append(f"Not tried: {', '.join(left)}.\n")
    return "\n".join(parts)


def _line(row: dict) -> str:
    if "error" in row:
        return f"| {row['network']} | {row['size']} | no: {row['error']} | | |"
    works = "yes" if row["works"] else "mass is lost"
    return f"| {row['network']} | {row['size']} | {works} | {row['nodes']} | {row['ratio']} |"


def read_rows(folder: Path) -> dict[tuple[str, int], dict]:
    """The rows that there are for this version of Keras, by network and size."""
    path = _file(folder)
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return {(row["network"], row["size"]): row for row in rows}


def write(record: dict, folder: Path) -> None:
    """Writes this version's results and the page about all versions."""
    record["rows"].sort(key=lambda row: (row["network"], row["size"]))
    _file(folder).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_page(folder)


def write_page(folder: Path) -> None:
    """Writes the page about all that was measured."""
    paths = sorted(folder.glob("support-keras-*.json"), reverse=True)
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    text = (table(records) if records else "") + page.tables(folder)
    (folder / "SUPPORT.md").write_text(text, encoding="utf-8")


def _file(folder: Path) -> Path:
    return folder / f"support-keras-{keras.__version__.split('.')[0]}.json"
