"""Nodes as NumPy arrays."""

from typing import Any, NamedTuple

import numpy as np

from .compiled import compiled


class NodeArrays(NamedTuple):
    """`nodes.Nodes`, as NumPy arrays.

    Attributes:
        index: (M,) int64, explanation times units in the tensor plus the unit's place.
        sign: (M,) float32, +1 or -1.
        mass: (M,) float32.
    """

    index: np.ndarray
    sign: np.ndarray
    mass: np.ndarray

    def arriving(self, size: int, arrival: Any, size_below: int) -> "NodeArrays":
        """The nodes that arrive in one input of a layer, there.

        Args:
            size: Units in one row of the output, where these are.
            arrival: An `Arrival` that holds arrays.
            size_below: Units in one row of the input.
        """
        here = _EVERYWHERE if arrival.here is None else arrival.here
        flip = _NO_FLIPS if arrival.flip is None else np.asarray(arrival.flip, np.float32)
        return NodeArrays(*_arriving(*self, size, arrival.unit, flip, here, size_below))


_EVERYWHERE, _NO_FLIPS = np.zeros(0, bool), np.zeros(0, np.float32)


@compiled
def _arriving(index, sign, mass, size, unit, flip, here, size_below):
    below, asked, given = np.empty_like(index), np.empty_like(sign), np.empty_like(mass)
    found = 0
    for m in range(index.size):
        if here.size and not here[m]:
            continue
        below[found] = index[m] // size * size_below + unit[m]
        asked[found] = sign[m] * flip[m] if flip.size else sign[m]
        given[found] = mass[m]
        found += 1
    return below[:found].copy(), asked[:found].copy(), given[:found].copy()


@compiled
def per_explanation(index, size, mass, explanations):
    """Adds mass of nodes up for each explanation: (E,) float64.

    Args:
        index: (M,) int64, of the nodes.
        size: Units in one row of their tensor.
        mass: (M,) float32.
        explanations: E.
    """
    total = np.zeros(explanations)
    for m in range(index.size):
        if mass[m] != 0:
            total[index[m] // size] += mass[m]
    return total


class Places(NamedTuple):
    """Nodes with their places spelled out, all (M,).

    Attributes:
        explanation, image, unit: int64; which explanation, which row of the batch that is about,
            and the row-major place in one row of the tensor.
        sign, mass: float32.
    """

    explanation: np.ndarray
    image: np.ndarray
    unit: np.ndarray
    sign: np.ndarray
    mass: np.ndarray


def locate(nodes: NodeArrays, size: int, owner: np.ndarray) -> Places:
    """Spells the places of nodes out.

    Args:
        nodes: Nodes.
        size: Units in one row of their tensor.
        owner: (E,) int64, which row of the batch each explanation is about.
    """
    explanation, unit = np.divmod(nodes.index, size)
    return Places(explanation, owner[explanation], unit, nodes.sign, nodes.mass)
