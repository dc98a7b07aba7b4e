"""What `explain` costs beside the network's own forward pass."""

import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_backtrack import BacktrackExplainer, reference
from keras_backtrack.compat import keras
from keras_backtrack.models import efficientnet_lite0

from .timing import alternate, summary


class Case(NamedTuple):
    """A network, at an input size and a batch size, and how it is explained."""

    network: str
    size: int
    batch: int
    method: str = "viterbi"


QUICK = [Case("VGG19", 224, 1)]
ALL = [
    *QUICK,
    Case("VGG19", 224, 8),
    Case("VGG19", 128, 1),
    Case("VGG16", 224, 1),
    Case("EfficientNet-Lite0", 224, 1),
    Case("EfficientNet-Lite0", 224, 8),
    Case("VGG19", 224, 8, "posterior"),
    Case("ResNet50", 224, 8, "posterior"),
]

HEADER = (
    f"{'network':>18} {'method':>9} {'size':>4} {'batch':>5} {'forward ms':>24} {'explain ms':>24} "
    f"{'ratio':>18} {'pixels':>6} {'first s':>7} {'loops s':>7}"
)


def measure(case: Case, rounds: int, loops: bool) -> dict:
    """Times one case.

    Args:
        case: What to time.
        rounds: How often.
        loops: Whether to run the plain-loop reference, too: once, on the first image.

    Returns:
        The row of the result file.
    """
    model = build(case)
    x = _images(case)
    compiled = tf.function(lambda x: model(x, training=False), autograph=False)
    explainer = BacktrackExplainer(model, method=case.method)
    begin = time.perf_counter()
    e = explainer.explain(x)
    first_call = time.perf_counter() - begin
    times = alternate(
        {
            "predict_on_batch": lambda: model.predict_on_batch(x),
            "compiled": lambda: compiled(tf.constant(x)).numpy(),
            "explain": lambda: explainer.explain(x),
        },
        rounds,
    )
    forward = min(("predict_on_batch", "compiled"), key=lambda name: np.median(times[name]))
    row = {
        **case._asdict(),
        **{name: summary(milliseconds) for name, milliseconds in times.items()},
        "forward": forward,
        "ratio": round(float(np.median(times["explain"]) / np.median(times[forward])), 3),
        "ratio_of_rounds": summary(times["explain"] / times[forward]),
        "first_call_seconds": round(first_call, 2),
        "pixels": [len(pixels) for pixels in e.pixels],
    }
    if loops and case.method == "viterbi":
        begin = time.perf_counter()
        reference.backtrack(model, x[0], int(e.targets[0]))
        row["loops_seconds"] = round(time.perf_counter() - begin, 2)
    return row


def line(row: dict) -> str:
    """A row of a result file as text, below `HEADER`: medians, quartiles in brackets."""
    low, high = row["ratio_of_rounds"]["q1"], row["ratio_of_rounds"]["q3"]
    return (
        f"{row['network']:>18} {row['method']:>9} {row['size']:>4} {row['batch']:>5} "
        f"{_spread(row[row['forward']]):>24} {_spread(row['explain']):>24} "
        f"{row['ratio']:>5.2f} [{low:.2f}, {high:.2f}] {row['pixels'][0]:>6} "
        f"{row['first_call_seconds']:>7} {row.get('loops_seconds', '-'):>7}"
    )


def build(case: Case) -> keras.Model:
    """The network; `keras.applications` with random weights that keep activations in range."""
    if case.network == "EfficientNet-Lite0":
        return efficientnet_lite0()
    shape = (case.size, case.size, 3)
    model = getattr(keras.applications, case.network)(weights=None, input_shape=shape)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel, bias = layer.get_weights()
            spread = np.float32(np.sqrt(2 / np.prod(kernel.shape[:-1])))
            layer.set_weights([rng.standard_normal(kernel.shape, np.float32) * spread, bias])
    return model


def _images(case: Case) -> np.ndarray:
    """Noise, in the range of the network's own preprocessing."""
    noise = np.random.default_rng(1).normal(size=(case.batch, case.size, case.size, 3))
    scale = 0.5 if case.network == "EfficientNet-Lite0" else 50
    return (noise * scale).astype(np.float32)


def _spread(summary: dict[str, float]) -> str:
    return "{median:.1f} [{q1:.1f}, {q3:.1f}]".format(**summary)
