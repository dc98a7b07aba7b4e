"""Nodes as NumPy arrays."""

from typing import NamedTuple

import numpy as np


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

    def where(self, mask: np.ndarray) -> "NodeArrays":
        """The nodes for which the (M,) bool mask is true."""
        return NodeArrays(*(field[mask] for field in self))


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
