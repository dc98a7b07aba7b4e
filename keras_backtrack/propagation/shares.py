"""How a node's mass is split among its contributions."""

from typing import NamedTuple

import tensorflow as tf


class Shares(NamedTuple):
    """Chosen contributions, in order of their nodes.

    Attributes:
        parent: (L,) int64, whose they are.
        choice: (L,) int64, which of that node's contributions.
        mass: (L,) float32, their share of its mass.
        ended: (M,) float32, the mass of nodes without a positive contribution; NaN where
            contributions overflow.
    """

    parent: tf.Tensor
    choice: tf.Tensor
    mass: tf.Tensor
    ended: tf.Tensor


def split_mass(mass: tf.Tensor, value: tf.Tensor, limit: int | None) -> Shares:
    """Splits each node's mass among its best positive contributions, in proportion to them.

    Args:
        mass: (M,) float32.
        value: (M, G) float32, contributions.
        limit: How many are kept at most; None for all. Ties go to the lowest place.
    """
    choice = None
    if limit is not None:
        value, choice = tf.math.top_k(value, tf.minimum(limit, tf.shape(value)[1]))
    value = tf.maximum(value, 0.0)
    total = tf.reduce_sum(value, axis=1)
    place = tf.where(value > 0)
    parent, kept = place[:, 0], place[:, 1]
    portion = tf.math.divide_no_nan(tf.gather_nd(value, place), tf.gather(total, parent))
    return Shares(
        parent,
        kept if choice is None else tf.cast(tf.gather_nd(choice, place), tf.int64),
        tf.gather(mass, parent) * portion,
        unless_overflown(total, tf.where(total > 0, 0.0, mass)),
    )


def unless_overflown(total: tf.Tensor, mass: tf.Tensor) -> tf.Tensor:
    """Mass, and NaN where the total that something was split by is no finite number.

    By such a total mass vanishes. What then arrives and what is lost must not look complete.
    """
    return tf.where(tf.math.is_finite(total), mass, float("nan"))
