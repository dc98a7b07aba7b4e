"""Mass in every unit of a tensor, and the arithmetic that spreading it takes."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from ...rules.indexing import dims, product
from ..nodes import Nodes
from ..traced_once import shared


class Maps(NamedTuple):
    """The mass in every unit of a tensor, (E, units) float32, for units that are asked why they are
    high and why they are low. A map has no rows at all where it would hold zeros only. Mass below 0
    speaks against the decision.
    """

    high: tf.Tensor
    low: tf.Tensor


def as_nodes(maps: Maps) -> Nodes:
    """All units with mass above 0, those asked why they are high before the others.

    Args:
        maps: The mass in every unit.
    """

    def of(mass: tf.Tensor, sign: float) -> Nodes:
        mass = tf.reshape(mass, [-1])
        index = tf.where(mass > 0)[:, 0]
        return Nodes(index, tf.fill(tf.shape(index), sign), tf.gather(mass, index))

    fields = zip(of(maps.high, 1.0), of(maps.low, -1.0), strict=True)
    return Nodes(*(tf.concat(field, 0) for field in fields))


def as_maps(nodes: Nodes, explanations: tf.Tensor, units: tf.Tensor) -> Maps:
    """The maps of a tensor with so many units."""

    def put(sign: float) -> tf.Tensor:
        own = nodes.where(nodes.sign == sign)
        found = tf.math.unsorted_segment_sum(own.mass, own.index, explanations * units)
        return tf.reshape(found, [-1, units])

    low = put(-1.0)
    return Maps(put(1.0), tf.cond(tf.reduce_any(low != 0), lambda: low, lambda: low[:0]))


def nothing(tensor: tf.Tensor) -> tf.Tensor:
    """A map of a tensor's units without rows."""
    return tf.zeros([0, product(dims(tensor))])


def is_empty(mass: tf.Tensor) -> tf.Tensor:
    """Whether a map is without rows."""
    return tf.equal(tf.shape(mass)[0], 0)


def in_rows(mass: tf.Tensor, rows: int) -> tf.Tensor:
    """A map of images of so many rows as one of rows: (E, rows · units) as (E · rows, units)."""
    if rows == 1:
        return mass
    return tf.reshape(mass, [tf.shape(mass)[0] * rows, tf.shape(mass)[1] // rows])


def of_images(mass: tf.Tensor, rows: int) -> tf.Tensor:
    """The other way round from `in_rows`."""
    if rows == 1:
        return mass
    return tf.reshape(mass, [tf.shape(mass)[0] // rows, tf.shape(mass)[1] * rows])


_map = [None, None], tf.float32


@shared(_map, _map)
def add(x, y):
    """Adds two maps, either of which may be without rows."""
    return tf.cond(
        is_empty(x),
        lambda: tf.identity(y),
        lambda: tf.cond(is_empty(y), lambda: tf.identity(x), lambda: x + y),
    )


@shared(_map, _map)
def full(low, high):
    """The map `low` with all rows, of which `high` has as many."""
    return tf.cond(is_empty(low), lambda: tf.zeros_like(high), lambda: tf.identity(low))


@shared(_map, ([None, None], tf.bool))
def ended_where(mass, here):
    """The (E,) mass where nothing is followed; zeros for a map without rows."""
    return tf.cond(
        is_empty(mass),
        lambda: tf.zeros(tf.shape(here)[:1]),
        lambda: tf.reduce_sum(tf.where(here, mass, 0.0), axis=1),
    )


@shared(_map, ([None], tf.bool))
def rows_where(mass, mask):
    """The rows for which the (E,) mask is true, zeros in place of others."""
    return tf.cond(
        is_empty(mass),
        lambda: tf.identity(mass),
        lambda: tf.where(mask[:, None], mass, 0.0),
    )


@shared(([None, None], tf.bool), _map, _map)
def swap(turned, high, low):
    """Turns the question round where `turned`, which is broadcast over rows."""
    return tf.where(turned, low, high), tf.where(turned, high, low)


def left_behind(asked: tf.Tensor, found: Sequence[tf.Tensor]) -> tf.Tensor:
    """The (E,) mass that did not arrive: that of units nothing contributes to.

    Args:
        asked: (E, units), what was to be split. May be without rows, as all maps may.
        found: (E, ...), what arrived.
    """
    arrived = [tf.reduce_sum(part, axis=range(1, part.shape.rank)) for part in found]
    return tf.nn.relu(tf.reduce_sum(asked, axis=1) - tf.add_n(arrived))


def net(maps: Maps) -> Maps:
    """What is left where more speaks for the decision than against it."""
    return Maps(*map(tf.nn.relu, maps))


def all_mass(maps: Maps) -> tf.Tensor:
    """The (E,) mass in both maps."""
    high = tf.reduce_sum(maps.high, axis=1)
    low = tf.reduce_sum(maps.low, axis=1)
    return high + tf.cond(is_empty(maps.low), lambda: tf.zeros_like(high), lambda: low)
