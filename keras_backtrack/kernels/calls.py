"""Cutting nodes into calls of fixed size: XLA compiles a function anew for each shape."""

from typing import NamedTuple

import tensorflow as tf

# Nodes in one call: a few hundred channels for each of them stay in the cache.
NODES = 256


class Calls(NamedTuple):
    """Calls of at most `NODES` nodes each, in the order of the nodes. All (calls,) int64.

    Attributes:
        run: Which run the nodes of a call belong to.
        start: Its first node.
        size: How many nodes it has.
    """

    run: tf.Tensor
    start: tf.Tensor
    size: tf.Tensor

    @property
    def count(self) -> tf.Tensor:
        """How many there are, int32."""
        return tf.size(self.run)

    def nodes(self, call: tf.Tensor, *fields: tf.Tensor) -> list[tf.Tensor]:
        """`NODES` rows of each field, from the first of a call on.

        Args:
            call: Number of the call.
            *fields: Fields of the nodes, `padded`.

        Returns:
            Each field's rows; behind the call's own come those of other nodes, or zeros.
        """
        start = self.start[call]
        rows = [field[start : start + NODES] for field in fields]
        return [tf.ensure_shape(r, [NODES, *r.shape[1:]]) for r in rows]


def cut(run: tf.Tensor, runs: tf.Tensor) -> Calls:
    """Cuts nodes into calls, each with nodes of one run only.

    Args:
        run: (M,) int64 in ascending order, below `runs`: which run a node belongs to, such as
            the image it is in.
        runs: int64 scalar.
    """
    first = tf.searchsorted(run, tf.range(runs + 1), out_type=tf.int64)
    calls = (first[1:] - first[:-1] + NODES - 1) // NODES
    of_run = tf.repeat(tf.range(runs), calls)
    number = tf.range(tf.size(of_run, tf.int64)) - tf.gather(tf.cumsum(calls) - calls, of_run)
    start = tf.gather(first, of_run) + number * NODES
    return Calls(of_run, start, tf.minimum(tf.gather(first, of_run + 1) - start, NODES))


def padded(*fields: tf.Tensor) -> list[tf.Tensor]:
    """Fields of nodes with rows of zeros behind them, for the last call to fill up with."""
    return [tf.pad(f, [[0, NODES], *([0, 0] for _ in f.shape[1:])]) for f in fields]


def collect(count: tf.Tensor, empty: tf.Tensor) -> tf.TensorArray:
    """An array for the rows that `count` calls write, to be joined with `concat`.

    Args:
        count: How many calls there are.
        empty: The result without any rows: TensorFlow cannot join no parts, and there are no calls
            where all paths have ended.
    """
    shape = [None] * empty.shape.rank
    array = tf.TensorArray(empty.dtype, count + 1, infer_shape=False, element_shape=shape)
    return array.write(count, empty)
