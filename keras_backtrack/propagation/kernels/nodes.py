"""Nodes as NumPy arrays."""

from itertools import pairwise
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

    index: np.ndarray  # type: ignore[assignment]  # No one asks a tuple of nodes for an item.
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

    def where(self, mask: np.ndarray) -> "NodeArrays":
        """The nodes for which the (M,) bool mask is true."""
        return NodeArrays(*_where(*self, mask))

    def apart(self, widths: np.ndarray) -> list["NodeArrays"]:
        """The nodes of a tensor that was joined from several, in each of those.

        Args:
            widths: (inputs,) int64, units of each in one row of the joined axis and all behind it.
        """
        index, sign, mass, ends = _apart(*self, np.cumsum(widths))
        return [
            NodeArrays(index[first:end], sign[first:end], mass[first:end])
            for first, end in pairwise((0, *ends))
        ]


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
def _where(index, sign, mass, mask):
    kept, asked, given = np.empty_like(index), np.empty_like(sign), np.empty_like(mass)
    found = 0
    for m in range(index.size):
        if mask[m]:
            kept[found], asked[found], given[found] = index[m], sign[m], mass[m]
            found += 1
    return kept[:found].copy(), asked[:found].copy(), given[:found].copy()


@compiled
def _apart(index, sign, mass, stops):
    below, of = np.empty_like(index), np.empty(index.size, np.int64)
    counts = np.zeros(stops.size, np.int64)
    for m in range(index.size):
        row = index[m] // stops[-1]
        place, branch = index[m] - row * stops[-1], 0
        while place >= stops[branch]:
            branch += 1
        start = stops[branch - 1] if branch else 0
        below[m], of[m] = row * (stops[branch] - start) + place - start, branch
        counts[branch] += 1
    ends = np.cumsum(counts)
    found = ends - counts
    into, asked, given = np.empty_like(index), np.empty_like(sign), np.empty_like(mass)
    for m in range(index.size):
        place = found[of[m]]
        into[place], asked[place], given[place] = below[m], sign[m], mass[m]
        found[of[m]] += 1
    return into, asked, given, ends


def unbroadcast(index: np.ndarray, made: tuple[int, ...], read: tuple[int, ...]) -> np.ndarray:
    """From nodes of a tensor to those of one that was broadcast to it, aligned at the end.

    Args:
        index: (M,) int64.
        made, read: Sizes of both without the batch axis.
    """
    read = (1,) * (len(made) - len(read)) + read
    return _unbroadcast(index, np.array(made, np.int64), np.array(read, np.int64))


@compiled
def _unbroadcast(index, made, read):
    below = np.empty_like(index)
    for m in range(index.size):
        left, place, stride = index[m], np.int64(0), np.int64(1)
        for axis in range(made.size - 1, -1, -1):
            if read[axis] != 1:
                place += left % made[axis] * stride
            left //= made[axis]
            stride *= read[axis]
        below[m] = left * stride + place
    return below


@compiled
def values_at(index, image_index, size, values):
    """The (M,) activations of nodes.

    Args:
        index: (M,) int64.
        image_index: (E,) int64, which row of the batch each explanation is about.
        size: Units in one row of their tensor.
        values: (N · size,) float32.
    """
    found = np.empty(index.size, np.float32)
    # What has one row for all images, such as a mask, is the same for each.
    last = values.size // size - 1
    for m in range(index.size):
        explanation = index[m] // size
        row = min(image_index[explanation], last)
        found[m] = values[row * size + index[m] - explanation * size]
    return found


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
