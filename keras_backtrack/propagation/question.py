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
        is_predicted: Whether an output of a single unit is asked about the side it is on: why it is
            high, or where its value behind the output's activation is below 0, why it is low.
    """

    explanation: np.ndarray
    unit: Sequence[np.ndarray]
    sign: Sequence[Any] = (1,)
    is_predicted: bool = False


class Answered(NamedTuple):
    """A question with ranks replaced by the units that have them.

    Attributes:
        question: Without ranks.
        mass: (R,) float32, each root's share of its explanation.
        targets: (E,) int64, the first unit of each explanation, -1 where it has several roots.
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
    """
    explanation, explanations = question.explanation, len(image_index)
    image = image_index[explanation]
    units = [_without_ranks(np.asarray(u, np.int64), output, image) for u in question.unit]
    first, *others = units
    count = np.bincount(explanation, minlength=explanations)
    mass = (1 / count[explanation]).astype(np.float32)
    targets = np.full(explanations, -1, np.int64)
    np.maximum.at(targets, explanation, first)
    scores = np.bincount(explanation, output[image, first] * mass, explanations)
    versus = others[0] if others else np.full(explanations, -1, np.int64)
    asked, targets = question._replace(unit=units), np.where(count == 1, targets, -1)
    return Answered(asked, mass, targets, versus, scores.astype(np.float32))


def _without_ranks(unit: np.ndarray, output: np.ndarray, image: np.ndarray) -> np.ndarray:
    ranks = max(0, -int(unit.min()))
    if ranks == 0:
        return unit
    if ranks == 1:
        ranked = output.argmax(axis=1)[:, None]
    else:
        ranked = np.argsort(-output, axis=1, kind="stable")[:, :ranks]
    return np.where(unit < 0, ranked[image, np.maximum(-unit, 1) - 1], unit)
