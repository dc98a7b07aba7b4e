"""What a decision rests on by name: words and columns."""

import math

import numpy as np

from .source import Source

Named = list[tuple[str, float]]

_SHOWN = 5


def named(source: Source, row: int, image: int) -> Named:
    """Names with their masses, in the order of the inputs and of their positions.

    Args:
        source: Where the decision comes from.
        row: Its number there.
        image: Of the row of `x` that it is about.
    """
    found: Named = []
    for name in source.layers.inputs:
        shape = source.layers.shape_of(name)
        words = source.words.get(name, {}).get(image)
        if name in source.ends or len(shape) > 1 or (words is None and math.prod(shape) == 1):
            held = source.layers.held(source.ends.get(name, name)).nodes_of(row)
            found.append((name, float(held.mass.sum())))
            continue
        mass = _by_position(source, name, row)
        if words is None:
            words = [f"{name}[{i}]" for i in range(len(mass))]
        found += zip(words, mass[: len(words)].tolist(), strict=True)
        if (rest := float(mass[len(words) :].sum())) > 0:
            found.append(("[padding]", rest))
    return found


def _by_position(source: Source, name: str, row: int) -> np.ndarray:
    """The mass at each position of an input whose positions have names."""
    [(points, mass)] = source.points(name, np.array([row]))
    return np.bincount(points[:, 0], mass, source.sizes(name)[0]).astype(float)


def heaviest(evidence: Named) -> str:
    """The heaviest names in one line."""
    ranked = sorted((pair for pair in evidence if pair[1] > 0), key=lambda pair: -pair[1])
    shown = [f"{name} {mass:.2g}" for name, mass in ranked[:_SHOWN]]
    return ", ".join([*shown, *["…"] * (len(ranked) > _SHOWN)]) or "nothing"
