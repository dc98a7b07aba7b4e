"""Weighted sums along one axis at a time, with the same weights everywhere."""

from typing import Any

import tensorflow as tf

from .computed import run


def summed(source: tf.Tensor, weights: Any, axis: int) -> tf.Tensor:
    """Sums along an axis of a tensor whose first axis is the batch.

    Args:
        source: The tensor.
        weights: (units of the axis, sums) what each counts; or (parts, units, sums) for a tensor
            that has its parts behind all other axes.
        axis: Along which; counted from the first.
    """
    letters = "abcdefgh"[: source.shape.rank]
    parts = letters[-1] if len(weights.shape) == 3 else ""
    output = letters.removesuffix(parts).replace(letters[axis], "z")
    equation = f"{letters},{parts}{letters[axis]}z->{output}"
    weights = tf.cast(weights, source.dtype)
    return tf.raw_ops.Einsum(inputs=[source, weights], equation=equation)


def resized_by(operation: tf.Operation, source: tf.Tensor, *settings: tf.Tensor) -> tf.Tensor:
    """What an operation makes of pictures that it resizes row by row and column by column.

    The weights of an axis are what it makes of pictures that are 1 in one row and all else alike.

    Raises:
        ValueError: If the sizes are not known before the network runs.
    """
    _, *sizes, _ = source.shape.as_list()
    values = [tf.get_static_value(setting) for setting in settings]
    if None in sizes or any(value is None for value in values):
        raise ValueError(f"Sizes must be known. Received: {source.shape}.")
    with tf.init_scope():
        given = [tf.constant(value) for value in values]
        both = []
        for axis, size in enumerate(sizes):
            rows = tf.reshape(tf.eye(size), [size, *(size if a == axis else 1 for a in (0, 1)), 1])
            pictures = tf.broadcast_to(rows, [size, *sizes, 1])
            (response,) = run(operation, [pictures, *given])
            both.append(tf.reduce_mean(response, [2 - axis, 3]).numpy())
    for axis, weights in enumerate(both, 1):
        source = summed(source, tf.constant(weights), axis)
    return source
