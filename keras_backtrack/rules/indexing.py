"""Places of units: row-major arithmetic on tensors whose sizes may vary."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

Dim: TypeAlias = int | tf.Tensor


def dims(tensor: tf.Tensor) -> list[Dim]:
    """Sizes of a tensor's axes after the batch axis: ints where known, else int64 scalars."""
    sizes = tensor.shape.as_list()[1:]
    if None in sizes:
        dynamic = tf.shape(tensor, out_type=tf.int64)
        sizes = [dynamic[i + 1] if size is None else size for i, size in enumerate(sizes)]
    return sizes


def product(sizes: Sequence[Dim]) -> Dim:
    """Product of axis sizes, an int wherever all of them are."""
    result = 1
    for size in sizes:
        result = result * size
    return result


def unravel(unit: tf.Tensor, sizes: Sequence[Dim]) -> list[tf.Tensor]:
    """Row-major place to coordinates, one tensor per axis."""
    coordinates = []
    for size in reversed(sizes):
        coordinates.append(unit % size)
        unit = unit // size
    return coordinates[::-1]


def ravel(coordinates: Sequence[tf.Tensor], sizes: Sequence[Dim]) -> tf.Tensor:
    """Coordinates to the row-major place."""
    unit = 0
    for coordinate, size in zip(coordinates, sizes, strict=True):
        unit = unit * size + coordinate
    return unit


def broadcast_back(place: Sequence[tf.Tensor], sizes: Sequence[Dim]) -> tf.Tensor:
    """Row-major place in a tensor that was broadcast against a larger one, aligned at the end.

    Args:
        place: Coordinates in the larger one.
        sizes: Sizes of the tensor's axes after the batch axis.
    """
    place = place[len(place) - len(sizes) :]
    # A size that is only known when the program runs may turn out to be 1.
    within = [
        c % size if not isinstance(size, int) or size == 1 else c
        for c, size in zip(place, sizes, strict=True)
    ]
    return ravel(within, sizes)


def flip_of(weight: Any) -> Any:
    """What a sign is multiplied with behind a weight, tensor or array: -1 where it is negative."""
    if isinstance(weight, np.ndarray):
        return np.where(weight < 0, np.float32(-1), np.float32(1))
    return 1.0 - 2.0 * tf.cast(weight < 0, tf.float32)


def value_at(tensor: tf.Tensor, image: tf.Tensor, unit: tf.Tensor) -> tf.Tensor:
    """Values of single units, in float32; `image` and `unit` are broadcast together.

    What has one row for all images, such as a mask or a constant, is the same for each.
    """
    flat = tf.reshape(tensor, [-1])
    row = tf.minimum(image, tf.shape(tensor, tf.int64)[0] - 1)
    return tf.cast(tf.gather(flat, row * product(dims(tensor)) + unit), tf.float32)


def units_of(tensor: tf.Tensor) -> tf.Tensor:
    """Units in one row of a tensor: int64 scalar."""
    return tf.cast(product(dims(tensor)), tf.int64)


def largest(value: tf.Tensor, unit: tf.Tensor) -> tf.Tensor:
    """Of (M, P) units the (M,) ones with the largest values, the first of equals."""
    winner = tf.math.top_k(value, 1).indices
    return tf.gather(unit, winner, batch_dims=1)[:, 0]
