"""What is asked about the output, and what it comes to once the network has answered."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Question(NamedTuple):
    """Linear combinations of output units, the roots that explanations start from.

    One unit counts +1; "why this rather than that" is +1 and -1; a mask's mean is a root for each
    of its units, with equal shares of the mass. In ascending order of explanation and unit.

    Attributes:
        explanation: (R,) int64, whose root it is.
        unit: K times (R,) int64, row-major places in the output; -1 for the unit with the largest
            value, -2 for the next, and so on.
        sign: K numbers or (R,) arrays, +1 or -1: what the units count with. A single one with -1 is
            asked why it is low.
        meaning: What a number in `unit` stands for: a `"unit"`; a `"class"` of a map of classes,
            such as a segmentation, wherever it is the predicted one; or a `"row"` of the output,
            such as a box of a detector, of which the largest value counts.
        classes: How many units the output's last axis has; for classes and rows.
        is_predicted: Whether an output of a single unit is asked about the side it is on: why it is
            high, or where its value behind the output's activation is below 0, why it is low.
    """

    explanation: np.ndarray
    unit: Sequence[np.ndarray]
    sign: Sequence[Any] = (1,)
    meaning: str = "unit"
    classes: int = 0
    is_predicted: bool = False


class Answered(NamedTuple):
    """A question with ranks replaced by the units that have them.

    Attributes:
        question: Without ranks.
        mass: (R,) float32, each root's share of its explanation.
        targets: (E,) int64, the first unit of each explanation or its class, -1 where it has
            several roots otherwise.
        versus: (E,) int64, the second unit, -1 where there is none.
        scores: (E,) float32, the mean of the first units' values.
    """

    question: Question
    mass: np.ndarray
    targets: np.ndarray
    versus: np.ndarray
    scores: np.ndarray


def answered(question: Question, output: np.ndarray, image_index: np.ndarray) -> Answered:
    """Finds targets, ranks, scores and shares, for every method alike.

    Args:
        question: What is asked.
        output: (N, units) float32, what the network answered.
        image_index: (E,) int64, which row of it each explanation is about.

    Raises:
        ValueError: If a class is asked about that is predicted nowhere.
    """
    classes = question.unit if question.meaning == "class" else None
    question = _spelled_out(question, output, image_index)
    explanation, explanations = question.explanation, len(image_index)
    image = image_index[explanation]
    units = [_without_ranks(np.asarray(u, np.int64), output, image) for u in question.unit]
    first, *others = units
    count = np.bincount(explanation, minlength=explanations)
    mass = (1 / count[explanation]).astype(np.float32)
    targets = np.full(explanations, -1, np.int64)
    np.maximum.at(targets, explanation, first)
    scores = np.bincount(explanation, output[image, first] * mass, explanations)
    versus = np.full(explanations, -1, np.int64)
    if others:
        versus[explanation] = others[0]
    asked, targets = question._replace(unit=units), np.where(count == 1, targets, -1)
    if classes is not None:
        targets, *foils = (np.asarray(own, np.int64) for own in classes)
        versus = foils[0] if foils else versus
    return Answered(asked, mass, targets, versus, scores.astype(np.float32))


def _spelled_out(question: Question, output: np.ndarray, image_index: np.ndarray) -> Question:
    """The same question about units."""
    if question.meaning == "unit":
        return question
    classes, asked = question.classes, question.unit[0]
    places = output.reshape(len(output), -1, classes)
    image = image_index[question.explanation]
    if question.meaning == "row":
        unit = asked * classes + places[image, asked].argmax(axis=1)
        return question._replace(unit=[unit], meaning="unit")
    here = places.argmax(axis=2)[image] == asked[:, None]
    nowhere = np.flatnonzero(~here.any(axis=1))
    if len(nowhere):
        raise ValueError(
            "A class of a map of classes is explained where it is predicted; for other places give "
            f"a mask of units. Received: class {asked[nowhere[0]]}, which image "
            f"{image[nowhere[0]]} of the batch has nowhere."
        )
    root, place = np.nonzero(here)
    return question._replace(
        explanation=question.explanation[root],
        unit=[place * classes + np.asarray(unit)[root] for unit in question.unit],
        sign=[sign[root] if np.ndim(sign) else sign for sign in question.sign],
        meaning="unit",
    )


def _without_ranks(unit: np.ndarray, output: np.ndarray, image: np.ndarray) -> np.ndarray:
    ranks = max(0, -int(unit.min()))
    if ranks == 0:
        return unit
    if ranks == 1:
        ranked = output.argmax(axis=1)[:, None]
    else:
        ranked = np.argsort(-output, axis=1, kind="stable")[:, :ranks]
    return np.where(unit < 0, ranked[image, np.maximum(-unit, 1) - 1], unit)
