"""Mass in every unit of a tensor, as NumPy arrays."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...graph.layout import places_first
from ..kernels import NodeArrays
from ..kernels.spreading import kept_at_places
from ..landmarks import has_places


class Maps(NamedTuple):
    """`dense_mass.Maps`, as NumPy arrays: (E, units) float32, or without rows for zeros only."""

    high: np.ndarray
    low: np.ndarray

    @property
    def mass(self) -> np.ndarray:
        """The (E,) float64 mass in both."""
        mass = self.high.sum(axis=1, dtype=np.float64)
        return mass + self.low.sum(axis=1, dtype=np.float64) if len(self.low) else mass

    @property
    def full_low(self) -> np.ndarray:
        """The map of units that are asked why they are low, with all rows."""
        return self.low if len(self.low) else np.zeros_like(self.high)

    def in_rows(self, count: int) -> "Maps":
        """Maps of images of so many rows as maps of rows."""
        return self if count == 1 else self._of(len(self.high) * count)

    def of_images(self, count: int) -> "Maps":
        """The other way round from `in_rows`."""
        return self if count == 1 else self._of(len(self.high) // count)

    def _of(self, explanations: int) -> "Maps":
        high = self.high.reshape(explanations, -1)
        return Maps(high, self.low.reshape(-1, high.shape[1]))

    @property
    def nodes(self) -> NodeArrays:
        """All units with mass, those asked why they are high before the others."""
        found = []
        for mass, sign in zip(self, (1, -1), strict=True):
            flat = mass.reshape(-1)
            index = np.flatnonzero(flat != 0)  # Of truth values it is ten times as fast.
            found.append((index, np.full(len(index), sign, np.float32), flat[index]))
        return NodeArrays(*map(np.concatenate, zip(*found, strict=True)))


def added(parts: Sequence[Maps]) -> Maps:
    """The sum of several."""
    maps, *others = parts
    for other in others:
        maps = Maps(*(_added(*pair) for pair in zip(maps, other, strict=True)))
    return maps


def _added(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one + other if len(one) and len(other) else one if len(one) else other


def as_maps(nodes: NodeArrays, explanations: int, units: int) -> Maps:
    """The maps of a tensor with so many units."""

    def put(own: NodeArrays) -> np.ndarray:
        mass = np.bincount(own.index, own.mass, explanations * units)
        return mass.reshape(explanations, units).astype(np.float32)

    is_low = nodes.sign < 0
    if not is_low.any():
        high = put(nodes)
        return Maps(high, high[:0])
    return Maps(put(nodes.where(~is_low)), put(nodes.where(is_low)))


class Places(NamedTuple):
    """How the units of a tensor are places and channels; where it has no places each unit is one.

    Attributes:
        places, channels: How many there are.
        is_first: Whether the tensor has its channels before its places.
        are_several: Whether it has places.
    """

    places: int
    channels: int
    is_first: bool
    are_several: bool

    @classmethod
    def of(cls, shape: Sequence[int], is_first: bool) -> "Places":
        """From the sizes of a tensor's axes after the batch axis."""
        by_place = places_first(tuple(shape), is_first)
        if not has_places(by_place):
            return cls(math.prod(shape), 1, False, False)
        return cls(math.prod(by_place[:-1]), by_place[-1], is_first, True)

    def apart(self, mass: np.ndarray) -> np.ndarray:
        """From (E, units) to (E, places, channels)."""
        if self.is_first:
            by_channel = mass.reshape(len(mass), self.channels, self.places)
            return np.ascontiguousarray(by_channel.swapaxes(1, 2))
        return mass.reshape(len(mass), self.places, self.channels)

    def joined(self, mass: np.ndarray) -> np.ndarray:
        """The other way round from `apart`."""
        mass = mass.swapaxes(1, 2) if self.is_first else mass
        return np.ascontiguousarray(mass).reshape(len(mass), self.places * self.channels)


def left_over(maps: Maps, places: Places) -> Maps:
    """What is left at each place of a tensor where more of its mass is above 0 than below.

    It is in the units above 0, in proportion.
    """
    left = kept_at_places(*map(places.apart, maps))
    return Maps(*map(places.joined, left))
