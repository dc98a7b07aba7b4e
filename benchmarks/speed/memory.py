"""Peak memory of `explain` beside that of a forward pass that returns every activation."""

import gc
import multiprocessing
from pathlib import Path

from .cases import Case

_MIB = 2**20
_FORGET_PEAK = Path("/proc/self/clear_refs")  # Linux forgets it where that is written to.


def can_measure() -> bool:
    """Whether this system tells the peak of a part of a process's life."""
    return _FORGET_PEAK.exists()


def measure(case: Case) -> dict[str, float]:
    """Peaks of three processes of their own, in MiB above what TensorFlow alone takes.

    Returns:
        `forward` and `explain`, the model's `weights`, and `ratio`: explain less the weights once,
        since the explainer lays kernels out a second time, ÷ forward.
    """
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        peaks = {what: pool.apply(_peak, (case, what)) for what in ("forward", "explain")}
        weights = pool.apply(_weights, (case,))
    ratio = (peaks["explain"] - weights) / peaks["forward"]
    return {**peaks, "weights": weights, "ratio": round(ratio, 3)}


def _peak(case: Case, what: str) -> float:
    import tensorflow as tf

    from keras_backtrack import BacktrackExplainer
    from keras_backtrack.graph.compat import keras

    from .cases import build, images

    before = _status("VmRSS")
    model, x = build(case), images(case)
    gc.collect()
    # The peak is counted from here: making random weights takes more than using them.
    _FORGET_PEAK.write_text("5")
    if what == "explain":
        explainer = BacktrackExplainer(model, method=case.method, contrast=case.contrast)
        for _ in range(3):
            explainer.explain(x)
    else:
        everything = keras.Model(model.inputs, [layer.output for layer in model.layers])
        run = tf.function(lambda x: everything(x, training=False), autograph=False)
        for _ in range(3):
            run(tf.constant(x))
    return round(_status("VmHWM") - before, 1)


def _weights(case: Case) -> float:
    from .cases import build

    return round(sum(weight.nbytes for weight in build(case).get_weights()) / _MIB, 1)


def _status(name: str) -> float:
    """What Linux says of this process's memory, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024
