"""Whether a network is explained, and rightly."""

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras

METHODS = ("backtrack", "viterbi", "posterior")
_STEPS, _TOKENS = 8, 40  # Of sequences of any length; fewer tokens than any network knows.
_LEAST = 1e-4
_LONG = 300


def measure(name: str, build: Callable[[], keras.Model], rounds: int = 5) -> dict:
    """Explains two pictures of noise, or rows of tokens, in every way.

    Args:
        name: Of the network.
        build: Makes it.
        rounds: How often a second call is timed.

    Returns:
        The row of the result file: what was asked, whether all methods account for all mass and
        have the model's own score, seconds of the first call and the median of later ones; or the
        error.
    """
    row: dict = {"network": name}
    try:
        model = built(build)
        row["layers"] = len(model.layers)
        x, output = inputs(model), output_of(model)
        want, target = answer(model, x, output)
        for method in METHODS:
            explainer = BacktrackExplainer(model, method=method, output=output)
            begin = time.perf_counter()
            e = explainer.explain(x, target)
            first = time.perf_counter() - begin
            if error := wrong(e, want):
                raise ArithmeticError(f"{method}: {error}")
            if method == METHODS[0]:
                row["first_call_seconds"] = round(first, 1)
                row["later_call_seconds"] = round(_median(explainer, x, target, rounds), 4)
    except Exception as error:  # Whatever stands in the way is what the table says.
        return {**row, "works": False, "error": _in_short(error)}
    return {**row, "works": True}


def wrong(e: Any, want: np.ndarray) -> str:
    """What is wrong with an explanation; nothing where it is right.

    Args:
        e: The explanation.
        want: The scores, as the model's own `predict` has them.
    """
    whole = e.input_mass.sum(axis=1) + e.lost
    if not np.all(np.abs(whole - 1) < _LEAST):
        return f"mass and lost mass are {whole}, not 1"
    if not np.allclose(e.scores, want, rtol=1e-3, atol=1e-4):
        return f"scores are {e.scores}, not {want}"
    return ""


def built(build: Callable[[], keras.Model]) -> keras.Model:
    """Builds a network, the same numbers in its weights each time.

    Weights that are all the same at first, such as biases, get random ones, too.
    """
    keras.utils.set_random_seed(0)
    model = build()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        values = np.asarray(weight)
        is_variance = "variance" in getattr(weight, "path", weight.name)
        if values.ndim and values.dtype == np.float32 and not np.ptp(values) and not is_variance:
            weight.assign(values + rng.normal(0, 0.1, values.shape))
    return model


def inputs(model: keras.Model) -> Any:
    """Two rows of what a model takes, by the keys of its own dict where it has one."""
    rng = np.random.default_rng(1)

    def of(name: str, tensor: Any) -> np.ndarray:
        shape = (2, *(size or _STEPS for size in tensor.shape[1:]))
        if not tf.as_dtype(tensor.dtype).is_integer:
            return rng.uniform(0, 1, shape).astype(np.float32)
        if "mask" in name:
            return np.ones(shape, np.int32)
        if "segment" in name:
            return np.zeros(shape, np.int32)
        return rng.integers(1, _TOKENS, shape).astype(np.int32)

    own = model.input
    if isinstance(own, dict):
        return {key: of(key, tensor) for key, tensor in own.items()}
    found = [of(tensor.name, tensor) for tensor in model.inputs]
    return found[0] if len(found) == 1 else found


def output_of(model: keras.Model) -> str | int | None:
    """Which output is explained: of several the last."""
    if isinstance(model.output, dict):
        return list(model.output)[-1]
    return len(model.outputs) - 1 if len(model.outputs) > 1 else None


def answer(model: keras.Model, x: Any, output: str | int | None) -> tuple[np.ndarray, Any]:
    """What a model predicts for the target of each row, and that target: the predicted class.

    Where the output has several axes, it is a unit in the middle.
    """
    made = model.predict(x, verbose=0)
    made = np.asarray(made if output is None else made[output])
    if made.ndim == 2:
        return made.max(axis=1), None
    target = np.zeros(made.shape[1:], bool)
    target[tuple(size // 2 for size in target.shape)] = True
    return made[:, target][:, 0], target


def _median(explainer: BacktrackExplainer, x: Any, target: Any, rounds: int) -> float:
    found = []
    for _ in range(rounds):
        begin = time.perf_counter()
        explainer.explain(x, target)
        found.append(time.perf_counter() - begin)
    return float(np.median(found))


def _in_short(error: Exception) -> str:
    """What went wrong, without the advice; as one line."""
    text = str(error).split("Received:", 1)[-1] if len(str(error)) > _LONG else str(error)
    plain = re.sub(r"\x1b\[\d*m", "", text)
    return f"{type(error).__name__}: {' '.join(plain.split())}"[:_LONG]
