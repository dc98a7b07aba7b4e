"""What is asked of a user's input before anything runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..graph.graph import Graph, in_dtype
from ..graph.strings import Given
from .texts import check_is_known, check_texts


def read_inputs(x: Any, graph: Graph) -> Given:
    """What a user gave, checked, as the model takes it and as its graph does.

    Args:
        x: As for `check_inputs`; or what was read before.
        graph: The model's calls.
    """
    if isinstance(x, Given):
        return x
    own = graph.own
    names, specs = ([held[n] for n in own.inputs] for held in (own.names, own.specs))
    found = check_inputs(x, names, specs, graph.also)
    return Given(found, found, {}) if graph.before is None else graph.before(found)


def check_inputs(
    x: Any, names: Sequence[str], specs: Sequence[Any], also: Mapping[str, str] | None = None
) -> list[np.ndarray]:
    """Makes a batch for each of a model's inputs of what a user gave.

    Args:
        x: For a model with one input, that input; else a list or tuple of all in their order, or a
            dict of all by name.
        names: Names of the model's inputs.
        specs: Shape and dtype of each, batch axis first.
        also: By what inputs may be called besides, their names.

    Raises:
        TypeError, ValueError: As `check_images` and `check_texts`; or if there are too many inputs
            or too few.
    """
    check_eager()
    if isinstance(x, dict):
        if also and set(x) == set(also):
            x = {also[key]: values for key, values in x.items()}
        if set(x) != set(names):
            raise ValueError(
                f"`x` must have an entry for each input of the model, {list(names)}. "
                f"Received: a dict of {list(x)}."
            )
        x = [x[name] for name in names]
    elif len(names) == 1:
        x = [x]
    if not isinstance(x, (list, tuple)) or len(x) != len(names):
        received = f"{len(x)} of them" if isinstance(x, (list, tuple)) else f"a {type(x).__name__}"
        raise ValueError(
            f"`x` must be a list of the model's {len(names)} inputs, in the order {list(names)}, "
            f"or a dict of them by name. Received: {received}."
        )
    batches = [
        check_texts(values, tuple(spec.shape[1:]), name)
        if spec.dtype == tf.string
        else check_images(values, tuple(spec.shape[1:]), spec.dtype.name)
        for values, spec, name in zip(x, specs, names, strict=True)
    ]
    lengths = [len(batch) for batch in batches]
    if len(set(lengths)) > 1:
        raise ValueError(
            "The inputs of a model must have equally many rows. Received: "
            + ", ".join(f"{n} for {name!r}" for n, name in zip(lengths, names, strict=True))
            + "."
        )
    return batches


def check_eager() -> None:
    """Raises RuntimeError inside of a tf.function, where there are no numbers to look at."""
    if not tf.executing_eagerly():
        raise RuntimeError(
            "An explanation is no part of a graph: explain outside of the tf.function. "
            "Received: a call inside of one."
        )


def check_images(x: Any, shape: tuple[int | None, ...], dtype: str) -> np.ndarray:
    """Makes a batch of what a user gave as images.

    Args:
        x: Array or tensor, with or without the batch axis.
        shape: The model's input shape without the batch axis; None where any size will do.
        dtype: The model's input dtype.

    Returns:
        `x` as an array with a batch axis, in its own dtype: what is on disk (`np.memmap`) stays
        there until `in_dtype` takes a batch of it.

    Raises:
        TypeError: If `x` does not hold real numbers.
        ValueError: If it is empty, has the wrong shape, or holds NaN or infinite values.
    """
    expected = "(" + ", ".join(["batch", *("any" if n is None else str(n) for n in shape)]) + ")"
    check_is_known(x)
    try:
        x = np.asarray(x)
    except ValueError as error:
        raise ValueError(
            f"`x` must be one array of shape {expected}, but its rows differ in shape ({error}). "
            f"Received: {type(x).__name__} of length {len(x)}."
        ) from None
    if x.dtype.kind not in "biuf" and str(x.dtype) != "bfloat16":
        raise TypeError(
            f"`x` must hold real numbers, as for `model.predict`. Received: dtype {x.dtype}."
        )
    given = x.shape
    if shape == (1,) and x.ndim < 2:
        x = x.reshape(-1, 1)  # A column, as `predict` takes it; or what is in one row of it.
    elif x.ndim == len(shape):
        x = x[None]
    if x.ndim != len(shape) + 1 or any(
        want is not None and want != have for want, have in zip(shape, x.shape[1:], strict=True)
    ):
        raise ValueError(
            f"`x` must have the shape {expected} of the model's input; for one image the batch "
            f"axis may be left out. Received: shape {given}."
        )
    if x.size == 0:
        raise ValueError(f"`x` must hold at least one image. Received: shape {given}.")
    if dtype.startswith(("float", "bfloat")):
        _check_finite(x, dtype)
    return x


def _check_finite(x: np.ndarray, dtype: str) -> None:
    rows = max(1, _PIECE // x[0].size)
    bad: list[int] = []
    count = 0
    for start in range(0, len(x), rows):
        finite = np.isfinite(in_dtype(x[start : start + rows], dtype)).reshape(-1, x[0].size)
        if not finite.all():
            count += int((~finite).sum())
            bad.extend(start + np.flatnonzero(~finite.all(axis=1)))
    if bad:
        raise ValueError(
            "`x` must hold finite numbers. "
            f"Received: {count} NaN or infinite values, in image(s) {_some(np.array(bad))}."
        )


# Numbers that are looked at together, so that an array may be larger than the memory.
_PIECE = 2**24


def check_scores(scores: np.ndarray, image: np.ndarray, overflown: str) -> None:
    """Raises ValueError where the network itself answered with something that is no number.

    Args:
        scores: (E,) float32, the output at the targets.
        image: (E,) int, which image each is about.
        overflown: A sentence that says where numbers stop being finite.
    """
    bad = np.unique(image[~np.isfinite(scores)])
    if len(bad):
        raise ValueError(
            "The network's output must be finite; its weights may not be, or an activation "
            f"overflows. {overflown}Received: NaN or infinite output for image(s) {_some(bad)}."
        )


def _some(numbers: np.ndarray) -> str:
    return ", ".join(map(str, numbers[:10])) + ", …" * (len(numbers) > 10)
