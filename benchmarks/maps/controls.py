"""Controls: maps that no network has any part in."""

from collections.abc import Callable

import numpy as np

from .subject import Subject

Explain = Callable[[np.ndarray, np.ndarray], np.ndarray]

GAUSSIAN, COLOUR, CHANCE = "centred Gaussian", "colour contrast × border", "chance"
_RIM = 0.04  # of a side, the border whose mean colour stands for the background


def centred_gaussian(subject: Subject) -> Explain:
    """Looks at nothing, knows that photographers aim: a Gaussian a quarter of a side wide."""
    bell = _bell(subject.size)
    return lambda x, targets: np.repeat(bell[None], len(x), axis=0)


def colour_contrast(subject: Subject) -> Explain:
    """Looks at the picture and not at the network: how far each pixel's colour is from the mean
    colour along the border, times the centred Gaussian.

    Preprocessing shifts and scales colours, so their distances are those of RGB up to a factor.
    """
    bell, inner = _bell(subject.size), tuple(_inner(side) for side in subject.size)

    def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
        is_rim = np.ones(subject.size, bool)
        is_rim[inner] = False
        rim = x[:, is_rim].mean(axis=1)
        distance = np.linalg.norm(x - rim[:, None, None], axis=-1)
        return (distance * bell).astype(np.float32)

    return explain


def chance(subject: Subject) -> Explain:
    """Looks at nothing: uniform noise.

    Under a wide Gaussian it becomes a blob in the middle, since nothing lies beyond the edges: what
    is won by cross-validation alone is in this control.
    """
    rng = np.random.default_rng(0)
    return lambda x, targets: rng.random(x.shape[:3], np.float32)


def _bell(size: tuple[int, int]) -> np.ndarray:
    y, x = (np.linspace(-2, 2, n) for n in size)
    return np.exp(-(y[:, None] ** 2 + x**2) / 2).astype(np.float32)


def _inner(side: int) -> slice:
    rim = max(round(_RIM * side), 1)
    return slice(rim, side - rim)


CONTROLS: dict[str, Callable[[Subject], Explain]] = {
    GAUSSIAN: centred_gaussian,
    COLOUR: colour_contrast,
    CHANCE: chance,
}
