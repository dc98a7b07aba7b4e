"""What is asked for: targets as users give them, as units of the output to start from."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..graph.graph import Graph
from ..pictures.class_names import check_labels, labels_of_one_unit, numbered
from ..propagation.program import Run
from ..propagation.question import Question
from ..rules.activations import is_sigmoid
from ..rules.gates import is_output_made_by


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
        question = self.question
        explanation = question.explanation
        here = slice(*np.searchsorted(explanation, [first, last]))
        signs = [sign[here] if np.ndim(sign) else sign for sign in question.sign]
        units = [unit[here] for unit in question.unit]
        asked = question._replace(explanation=explanation[here] - first, unit=units, sign=signs)
        return self.image[first:last] - start, asked


class Ranks(NamedTuple):
    """Targets by their rank: the `top` highest outputs of each image, the highest first."""

    top: Any


class Answers(NamedTuple):
    """What a network answers, as far as one can ask about it.

    Attributes:
        shape: Of the output, batch axis left out.
        is_yes_or_no: Whether it is one unit that ends in a sigmoid, so that there are two classes:
            0 is no, 1 is yes.
    """

    shape: tuple[int, ...]
    is_yes_or_no: bool = False

    @classmethod
    def of(cls, graph: Graph, image: Callable[[], Sequence[tf.Tensor]]) -> "Answers":
        """What the network answers to an input.

        Args:
            graph: The model's calls.
            image: Gives a row of each input, where the output's size depends on theirs.
        """
        shape = tuple(graph.specs[graph.output].shape[1:])
        if None in shape:
            shape = tuple(graph.replay(image())[graph.output].shape[1:])
        return cls(shape, math.prod(shape) == 1 and is_output_made_by(graph, is_sigmoid))

    @property
    def units(self) -> int:
        """How many units it has."""
        return int(np.prod(self.shape))

    @property
    def meaning(self) -> str:
        """What targets stand for, as of `Question`."""
        return {0: "unit", 1: "unit", 2: "row"}.get(len(self.shape), "class")

    @property
    def classes(self) -> int:
        """How many targets there are."""
        if self.is_yes_or_no:
            return 2
        return {"unit": self.units, "row": self.shape[0], "class": self.shape[-1]}[self.meaning]

    @property
    def labelled(self) -> tuple[int, ...]:
        """The shape that labels are for."""
        if self.is_yes_or_no:
            return (2,)
        return self.shape[-1:] if self.meaning == "class" else self.shape

    def labels(self, given: Any) -> tuple[str, ...] | None:
        """Names of the classes, checked; those of a single unit where none are given."""
        if given is not None:
            return check_labels(given, self.labelled)
        return labels_of_one_unit(self.is_yes_or_no) if self.units == 1 else None

    def meant_by(self, question: Question) -> str:
        """What the targets of a question stand for, as `short_name` takes it."""
        if self.is_yes_or_no:
            return "side"
        is_vector = len(self.shape) < 2
        return "class" if is_vector or question.meaning == "class" else "unit"


def check_targets(
    targets: Any,
    images: int,
    answers: Answers,
    labels: Sequence[str] | None = None,
    versus: Any = None,
    side: str | None = None,
) -> Targets:
    """Makes a question of what a user gave as targets.

    Args:
        targets, versus, side: As for `BacktrackExplainer.explain`.
        images: How many images there are.
        answers: What the network answers.
        labels: Names of the classes, or None.

    Raises:
        TypeError: If the targets are neither units, one-hot rows nor masks.
        ValueError: If there are too many or too few, or a unit does not exist.
    """
    _check_together(targets, versus, side, answers)
    if isinstance(targets, Ranks):
        found = _alone(_ranked(targets.top, images, answers.units))
    else:
        targets = numbered(targets, labels)
        if versus is not None:
            found = _pairs(targets, numbered(versus, labels), images, answers.classes)
            return found._replace(question=_meant(found.question, answers))
        if len(answers.shape) > 1 and np.asarray(targets).dtype == bool:
            found = _masks(np.asarray(targets), images, answers.shape)
        else:
            found = _alone(_units(targets, images, answers.classes))
            if targets is not None:
                found = found._replace(question=_meant(found.question, answers))
    return found._replace(question=_sided(found.question, side, answers))


def _meant(question: Question, answers: Answers) -> Question:
    """A question about classes or rows, where those are what the output is made of."""
    return question._replace(meaning=answers.meaning, classes=answers.shape[-1])


def _check_together(targets: Any, versus: Any, side: str | None, answers: Answers) -> None:
    """Raises ValueError for what cannot be asked together."""
    if isinstance(targets, tuple) and len(targets) == 2:
        raise ValueError(
            "Why one class and not another is asked as explain(x, target, versus=other); classes "
            f"of several images are given as a list. Received: targets={targets!r}."
        )
    if versus is not None and isinstance(targets, Ranks):
        raise ValueError(f"`top` stands in place of `versus`. Received: versus={versus!r}.")
    if versus is not None and side is not None:
        raise ValueError(
            "`versus` asks why one class is higher than another, so there is no `side`. "
            f"Received: side={side!r}, versus={versus!r}."
        )
    if versus is not None and answers.meaning == "row":
        raise ValueError(
            "Rows of the output, such as boxes, are not told from one another; ask about each. "
            f"Received: versus={versus!r}."
        )
    if versus is not None and answers.is_yes_or_no:
        raise ValueError(
            "A model that says yes or no with one unit has no other unit to compare: explain(x, 0) "
            f"or explain(x, 1). Received: versus={versus!r}."
        )
    if side is not None and answers.is_yes_or_no and targets is not None:
        raise ValueError(
            "Of a model that says yes or no with one unit, the targets 0 and 1 are the sides. "
            f"Received: targets={targets!r}, side={side!r}."
        )


def _sided(question: Question, side: str | None, answers: Answers) -> Question:
    """The question with the side it is about."""
    if side is not None:
        sign = 1 if side == "high" else -1
        if answers.is_yes_or_no:
            question = question._replace(unit=[np.zeros_like(question.unit[0])])
        return question._replace(sign=(sign,))
    if not answers.is_yes_or_no:
        return question._replace(is_predicted=True)
    (unit,) = question.unit
    zeros = [np.zeros_like(unit)]
    if (unit < 0).all():
        return question._replace(unit=zeros, is_predicted=True)
    return question._replace(unit=zeros, sign=(np.where(unit == 0, -1, 1),))


def of_two_classes(run: Run) -> Run:
    """A run of a network that says yes or no with one unit: class 0 is no, with what is left of 1.

    Args:
        run: Its targets and scores are those of the unit.
    """
    is_yes = run.sides > 0
    scores = np.where(is_yes, run.scores, 1 - run.scores)
    return run._replace(targets=is_yes.astype(np.int64), scores=scores)


def _alone(units: np.ndarray) -> Targets:
    """(images, K) units, each explained by itself."""
    image = np.repeat(np.arange(len(units)), units.shape[1])
    return Targets(image, Question(np.arange(len(image)), [units.reshape(-1)]))


def _pairs(targets: Any, versus: Any, images: int, classes: int) -> Targets:
    sides = []
    for name, side in (("targets", targets), ("versus", versus)):
        try:
            units = _units(side, images, classes)
        except (TypeError, ValueError) as error:
            raise type(error)(
                "Why one class and not another: target and versus each are a class, or a list of "
                f"{images} (one for each image). {error}"
            ) from None
        if units.shape[1] > 1:
            raise ValueError(
                "Why one class and not another: target and versus each are one class, or one for "
                f"each image. Received: {name}={side!r}."
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
    if np.ndim(targets) and np.asarray(targets).dtype != bool:
        raise ValueError(
            "`targets` and `versus` for data that comes in batches must be the same for all: "
            "None, a class, or a mask of units. For a class of each image explain batch by batch: "
            f"`explainer.explain(x, y)`. Received: {targets!r}."
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
