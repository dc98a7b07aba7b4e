"""What is asked for: targets as users give them, as units of the output to start from."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..pictures.class_names import numbered
from ..propagation.question import Question


class Targets(NamedTuple):
    """The decisions to explain.

    Attributes:
        image: (E,) int64 in ascending order, which image each is about.
        question: What is asked about all of them.
    """

    image: np.ndarray
    question: Question

    def of_images(self, start: int, stop: int) -> tuple[np.ndarray, Question]:
        """Image indices and the question about some images, both counted from there."""
        first, last = np.searchsorted(self.image, [start, stop])
        explanation, unit, sign = self.question
        here = slice(*np.searchsorted(explanation, [first, last]))
        question = Question(explanation[here] - first, [u[here] for u in unit], sign)
        return self.image[first:last] - start, question


class Ranks(NamedTuple):
    """Targets by their rank: the `top` highest outputs of each image, the highest first."""

    top: Any


def check_targets(
    targets: Any, images: int, shape: tuple[int, ...], labels: Sequence[str] | None = None
) -> Targets:
    """Makes a question of what a user gave as targets.

    Args:
        targets: As for `BacktrackExplainer.explain`.
        images: How many images there are.
        shape: Of the output, batch axis left out.
        labels: Names of the classes, or None.

    Raises:
        TypeError: If the targets are neither units, one-hot rows nor masks.
        ValueError: If there are too many or too few, or a unit does not exist.
    """
    if isinstance(targets, Ranks):
        return _alone(_ranked(targets.top, images, int(np.prod(shape))))
    targets = numbered(targets, labels)
    if isinstance(targets, tuple) and len(targets) == 2:
        return _pairs(targets, images, int(np.prod(shape)))
    if len(shape) > 1 and np.asarray(targets).dtype == bool:
        return _masks(np.asarray(targets), images, shape)
    return _alone(_units(targets, images, int(np.prod(shape))))


def _alone(units: np.ndarray) -> Targets:
    """(images, K) units, each explained by itself."""
    image = np.repeat(np.arange(len(units)), units.shape[1])
    return Targets(image, Question(np.arange(len(image)), [units.reshape(-1)]))


def _pairs(targets: tuple, images: int, classes: int) -> Targets:
    sides = []
    for side in targets:
        try:
            units = _units(side, images, classes)
        except (TypeError, ValueError) as error:
            raise type(error)(
                "A tuple of two targets asks why the first and not the second. Each is a class, a "
                f"list of {images} (one for each image), or None for the predicted class; several "
                f"classes of an image are given as a list. {error}"
            ) from None
        if units.shape[1] > 1:
            raise ValueError(
                "A tuple of two targets asks why the first and not the second: each side is one "
                f"class, or one for each image. Received: {targets!r}."
            )
        sides.append(units[:, 0])
    check_foils(sides[0], sides[1])
    each = np.arange(images)
    return Targets(each, Question(each, sides, (1, -1)))


def highest(top: Any, targets: Any) -> Ranks:
    """Targets for the `top` highest outputs of each image.

    Raises:
        ValueError: If targets were given as well.
    """
    if targets is not None:
        raise ValueError(f"`top` stands in place of `targets`. Received: both, top={top!r}.")
    return Ranks(top)


def _ranked(top: Any, images: int, classes: int) -> np.ndarray:
    if not isinstance(top, (int, np.integer)) or isinstance(top, bool) or not 1 <= top <= classes:
        raise ValueError(f"`top` must be an int from 1 to {classes}. Received: {top!r}.")
    return np.tile(-np.arange(1, top + 1), (images, 1))


def check_foils(unit: np.ndarray, foil: np.ndarray, first: int = 0) -> None:
    """Raises ValueError where a class is its own foil.

    Args:
        unit, foil: (N,) int, what is explained and what it is contrasted with.
        first: Number of the first image.
    """
    same = np.flatnonzero(unit == foil)
    if len(same):
        shown = f"class {unit[same[0]]}" if unit[same[0]] >= 0 else "the predicted class"
        images = ", ".join(map(str, first + same[:10]))
        raise ValueError(
            "The foil, which a class is contrasted with, must be another class. "
            f"Received: {shown} on both sides, for image(s) {images}."
        )


def check_same_for_all(targets: Any) -> None:
    """Raises ValueError where targets are given for each image and it is not known how many come.

    Args:
        targets: As for `BacktrackExplainer.stream`.
    """
    sides = targets if isinstance(targets, tuple) else (targets,)
    if any(np.ndim(side) and np.asarray(side).dtype != bool for side in sides):
        raise ValueError(
            "`targets` for data that comes in batches must be the same for all images: None, a "
            "class, a tuple of two classes, or a mask of units. For a class of each image explain "
            f"batch by batch: `explainer.explain(x, y)`. Received: {targets!r}."
        )


def _masks(mask: np.ndarray, images: int, shape: tuple[int, ...]) -> Targets:
    given = mask.shape
    if mask.ndim == len(shape):
        mask = np.broadcast_to(mask, (images, *given))
    if mask.shape != (images, *shape):
        raise ValueError(
            f"A mask of units must have the output's shape {shape}, for all images or, with a "
            f"first axis of {images}, for each. Received: shape {given}."
        )
    image, unit = np.nonzero(mask.reshape(images, -1))
    empty = sorted(set(range(images)) - set(image.tolist()))
    if empty:
        raise ValueError(
            "A mask must hold at least one unit of each image's output. "
            f"Received: none for image(s) {', '.join(map(str, empty[:10]))}."
        )
    return Targets(np.arange(images), Question(image, [unit]))


def _units(targets: Any, images: int, classes: int) -> np.ndarray:
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


def _from_one_hot(array: np.ndarray, images: int, classes: int, wanted: str) -> np.ndarray:
    if array.shape != (images, classes):
        raise ValueError(f"`targets` must be {wanted}. Received: shape {array.shape}.")
    if not _is_one_hot(array):
        raise ValueError(
            "One-hot `targets` must hold a single 1 in each row and 0 elsewhere. "
            f"Received: {array!r}."
        )
    return array.argmax(axis=1)[:, None]
