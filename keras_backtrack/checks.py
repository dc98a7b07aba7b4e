"""What is asked of a user's input before anything runs."""

from typing import Any

import numpy as np


def check_limit(name: str, value: Any) -> int | None:
    """A limit is None (keep all) or a whole number of at least 1."""
    if value is None:
        return None
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise ValueError(
        f"`{name}` must be an int of at least 1, or None for all. Received: {value!r}."
    )


METHODS = ("viterbi", "posterior")


def check_method(method: Any, include_bias: bool) -> None:
    """A method is one of `METHODS`, and only the walk knows biases."""
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {METHODS}. Received: {method!r}.")
    if include_bias and method != "viterbi":
        raise ValueError(
            "`include_bias` follows the print of Algorithms 1 and 2, so it needs "
            f"method='viterbi'. Received: method={method!r}."
        )


def check_images(x: Any, shape: tuple[int | None, ...], dtype: str) -> np.ndarray:
    """Makes a batch of what a user gave as images.

    Args:
        x: Array or tensor, with or without the batch axis.
        shape: The model's input shape without the batch axis; None where any size will do.
        dtype: The model's input dtype.

    Returns:
        The batch in the model's dtype. Shares the memory of `x` where that is possible.

    Raises:
        TypeError: If `x` does not hold real numbers.
        ValueError: If it is empty, has the wrong shape, or holds NaN or infinite values.
    """
    expected = "(" + ", ".join(["batch", *("any" if n is None else str(n) for n in shape)]) + ")"
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
    if x.ndim == len(shape):
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
    with np.errstate(over="ignore"):
        x = x.astype(dtype, copy=False)
    # A sum is finite only where every number is, and finds that out without a temporary array.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = x.dtype.kind == "f" and not np.isfinite(np.sum(x, dtype=np.float64))
    if suspicious:
        finite = np.isfinite(x).reshape(len(x), -1)
        bad = np.flatnonzero(~finite.all(axis=1))
        if len(bad):
            raise ValueError(
                "`x` must hold finite numbers. "
                f"Received: {int((~finite).sum())} NaN or infinite values, in image(s) "
                f"{_some(bad)}."
            )
    return x


def check_scores(scores: np.ndarray, image: np.ndarray) -> None:
    """Raises ValueError where the network itself answered with something that is no number.

    Args:
        scores: (E,) float32, the output at the targets.
        image: (E,) int, which image each is about.
    """
    bad = np.unique(image[~np.isfinite(scores)])
    if len(bad):
        raise ValueError(
            "The network's output must be finite; its weights may not be, or an activation "
            f"overflows. Received: NaN or infinite output for image(s) {_some(bad)}."
        )


def _some(numbers: np.ndarray) -> str:
    return ", ".join(map(str, numbers[:10])) + ", …" * (len(numbers) > 10)


def check_targets(targets: Any, images: int, classes: int) -> np.ndarray:
    """Makes an (images, K) int64 array of what a user gave as targets; -1 is the predicted class.

    Raises:
        TypeError: If the targets are neither class indices nor one-hot rows.
        ValueError: If there are too many or too few, or a class does not exist.
    """
    wanted = (
        f"an int from 0 to {classes - 1}, ({images},) or ({images}, K) ints, or one-hot rows "
        f"({images}, {classes}) as floats or bools"
    )
    if targets is None:
        return np.full((images, 1), -1, np.int64)
    try:
        array = np.asarray(targets)
    except ValueError:
        raise ValueError(
            f"`targets` must be {wanted}: every image the same number K. Received: {targets!r}."
        ) from None
    if array.dtype.kind in "fb" and array.ndim > 0:
        return _from_one_hot(array, images, classes, wanted)
    if array.dtype.kind not in "iu":
        raise TypeError(f"`targets` must be {wanted}. Received: {targets!r}.")
    if array.ndim == 2 and array.shape == (images, classes) and _is_one_hot(array):
        if classes > 2:
            return _from_one_hot(array, images, classes, wanted)
        raise ValueError(
            "For a model of two classes, rows of 0 and 1 could be one-hot or class indices: give "
            f"one-hot rows as floats or bools, or (N,) class indices. Received: {targets!r}."
        )
    if array.ndim == 0:
        array = np.full((images, 1), array)
    elif array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or len(array) != images or array.shape[1] == 0:
        raise ValueError(f"`targets` must be {wanted}. Received: shape {np.shape(targets)}.")
    if array.min() < 0 or array.max() >= classes:
        wrong = sorted(set(array[(array < 0) | (array >= classes)].tolist()))
        raise ValueError(
            f"`targets` must be classes from 0 to {classes - 1}. "
            f"Received: {', '.join(map(str, wrong[:10]))}."
        )
    if any(len(set(row)) < len(row) for row in array.tolist()):
        raise ValueError(
            f"The targets of one image must differ from one another. Received: {targets!r}."
        )
    return array.astype(np.int64)


def _is_one_hot(array: np.ndarray) -> bool:
    return bool(np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all())


def _from_one_hot(array, images: int, classes: int, wanted: str) -> np.ndarray:
    if array.shape != (images, classes):
        raise ValueError(f"`targets` must be {wanted}. Received: shape {array.shape}.")
    if not _is_one_hot(array):
        raise ValueError(
            "One-hot `targets` must hold a single 1 in each row and 0 elsewhere. "
            f"Received: {array!r}."
        )
    return array.argmax(axis=1)[:, None]
