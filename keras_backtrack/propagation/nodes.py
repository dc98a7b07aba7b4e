"""`Nodes`: the paper's memory vector M, and linear combinations of them that are asked about."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..rules.contributions import At
from .traced_once import shared


class Nodes(NamedTuple):
    """The important units of one tensor, for every explanation of a batch at once.

    Attributes:
        index: (M,) int64. Which unit, counted through all explanations: explanation times the
            number of units in the tensor, plus the unit's place in row-major order.
        sign: (M,) float32, +1 or -1. Whether the walk asks why the unit is high or why it is low.
        mass: (M,) float32 above 0. How much of the decision flows through; an explanation
            starts with 1.
    """

    index: tf.Tensor
    sign: tf.Tensor
    mass: tf.Tensor

    def where(self, mask: tf.Tensor) -> "Nodes":
        """The nodes for which the (M,) bool mask is true."""
        return Nodes(*(tf.boolean_mask(field, mask) for field in self))


class Asked(NamedTuple):
    """What is asked about at one tensor: M linear combinations of K units each.

    With K = 1 these are nodes, "why is it high" or "why is it low"; with K = 2 differences, "why
    this rather than that".

    Attributes:
        index: K times (M,) int64, as of `Nodes`.
        sign: K times (M,) float32, what each unit counts with: +1, -1, or 0 where it is not there.
        mass: (M,) float32 above 0.
    """

    index: Sequence[tf.Tensor]  # type: ignore[assignment]  # No one asks for an item.
    sign: Sequence[tf.Tensor]
    mass: tf.Tensor

    @classmethod
    def about(cls, nodes: Nodes) -> "Asked":
        """Single nodes, K = 1."""
        return cls([nodes.index], [nodes.sign], nodes.mass)

    @property
    def nodes(self) -> Nodes:
        """The nodes that these are, where K = 1."""
        ((index,), (sign,), mass) = self
        return Nodes(index, sign, mass)

    def singles(self, size: tf.Tensor) -> Nodes:
        """Each unit by itself, with equal parts of the mass, merged.

        Args:
            size: Units in one row of their tensor.
        """
        count = tf.add_n([tf.abs(sign) for sign in self.sign])
        index = tf.reshape(tf.stack(self.index, axis=1), [-1])
        sign = tf.reshape(tf.stack(self.sign, axis=1), [-1])
        shares = [self.mass * tf.abs(sign) / count for sign in self.sign]
        mass = tf.reshape(tf.stack(shares, axis=1), [-1])
        return merge([Nodes(index, sign, mass).where(mass > 0)])

    def times(self, factor: tf.Tensor) -> "Asked":
        """The same combinations times (M,) numbers."""
        return self._replace(sign=[sign * factor for sign in self.sign])

    def where(self, mask: tf.Tensor) -> "Asked":
        """Those for which the (M,) bool mask is true."""
        return tf.nest.map_structure(lambda field: tf.boolean_mask(field, mask), self)

    def at(self, size: tf.Tensor, image_index: tf.Tensor) -> list[At]:
        """The places of the first units, of the second, and so on.

        Args:
            size: Units in one row of their tensor.
            image_index: (E,) int64, which row of the batch each explanation is about.
        """
        explanation = self.index[0] // size
        image = tf.gather(image_index, explanation)
        pairs = zip(self.index, self.sign, strict=True)
        return [At(explanation, image, index % size, sign) for index, sign in pairs]


class Walked(NamedTuple):
    """Where decisions lead back to.

    Attributes:
        nodes: By tensor number, the nodes there (tensors, arrays, or the maps of all units); absent
            where there are none, or none are wanted.
        lost: (E,) mass of the paths of each explanation that ended on the way.
        ended: By tensor number, the part of it that ended there, as far as that is told apart.
    """

    nodes: dict[int, Any]
    lost: Any
    ended: dict[int, Any] = {}  # noqa: RUF012  # Nobody adds to it.


class Held(NamedTuple):
    """The nodes one explanation held at one tensor, in ascending order of unit.

    Attributes:
        unit: (M,) int64, row-major place in the tensor.
        sign: (M,) int8, +1 or -1.
        mass: (M,) float32.
    """

    unit: np.ndarray
    sign: np.ndarray
    mass: np.ndarray


def merge(parts: Sequence[Nodes]) -> Nodes:
    """Makes a set of the nodes, as the paper's M is one: those that coincide add their masses up.

    The same unit asked "why high" and "why low" stays two nodes. The result is in ascending order
    of index, which is the same for an explanation alone and inside a batch, and reads memory in
    order.
    """
    fields = parts[0] if len(parts) == 1 else (tf.concat(f, 0) for f in zip(*parts, strict=True))
    return Nodes(*_merge(*fields))


def cut(nodes: Nodes, sizes: Sequence[int | tf.Tensor]) -> list[Nodes]:
    """Nodes in several tensors one behind another, as nodes in each.

    Args:
        nodes: Nodes.
        sizes: How many units each of the tensors has.
    """
    if len(sizes) == 1:
        return [nodes]
    sizes = [tf.cast(size, tf.int64) for size in sizes]
    explanation, unit = nodes.index // tf.add_n(sizes), nodes.index % tf.add_n(sizes)
    parts, first = [], tf.constant(0, tf.int64)
    for size in sizes:
        inside = (unit >= first) & (unit < first + size)
        parts.append(nodes._replace(index=explanation * size + unit - first).where(inside))
        first += size
    return parts


@shared(([None], tf.int64), ([None], tf.float32), ([None], tf.float32))
def _merge(index, sign, mass):
    key, place = _sorted_unique(index * 2 + tf.cast(sign < 0, tf.int64))
    mass = tf.math.unsorted_segment_sum(mass, place, tf.size(key))
    return key // 2, 1.0 - 2.0 * tf.cast(key % 2, tf.float32), mass


def _sorted_unique(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The distinct numbers of an (M,) int64 tensor in ascending order, and each one's place."""
    distinct, place = tf.unique(values, out_idx=tf.int64)
    order = tf.argsort(distinct)
    return tf.gather(distinct, order), tf.gather(tf.math.invert_permutation(order), place)
