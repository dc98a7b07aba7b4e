"""Which inputs of a Dense layer contribute most to some of its units.

A layer may have tens of thousands of inputs, and hundreds of its units are asked about: most of the
time goes into fetching weights, so that little may happen besides.
"""

from typing import NamedTuple

import tensorflow as tf

from .calls import collect, cut, padded

# Inputs from which compiling pays, and the number of nodes that it takes for each row.
_MANY_INPUTS, _MANY_NODES = 4096, 32
# Inputs in one block, of which first only the largest product counts.
_BLOCK = 16


class DenseNodes(NamedTuple):
    """M nodes at the output of a Dense layer, and what they are computed from.

    Attributes:
        weight_rows: (units, G) float32.
        source: (rows, G) float32, the inputs.
        row: (M,) int64, which row of `source` a node is computed from.
        unit: (M,) int64, which unit it is.
        sign: (M,) float32.
    """

    weight_rows: tf.Tensor
    source: tf.Tensor
    row: tf.Tensor
    unit: tf.Tensor
    sign: tf.Tensor


def all_products(nodes: DenseNodes) -> tf.Tensor:
    """sign·W·A of each input for each node: (M, G) float32."""
    weights = tf.gather(nodes.weight_rows, nodes.unit)
    return weights * tf.gather(nodes.source, nodes.row) * nodes.sign[:, None]


def best_products(nodes: DenseNodes, limit: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The `limit` largest of `all_products` for each node.

    Returns:
        (M, L) float32 in descending order and (M, L) int64 below G, L at most `limit` and at most
        G. Equal products come in the order of their inputs.
    """
    rows, inputs = tf.unstack(tf.shape(nodes.source))
    limit = tf.minimum(limit, inputs)
    # Nodes are not in the order of rows where one image has several rows and several explanations.
    in_order = tf.reduce_all(nodes.row[1:] >= nodes.row[:-1])
    return tf.cond(
        (inputs >= _MANY_INPUTS) & (tf.size(nodes.row) >= _MANY_NODES * rows) & in_order,
        lambda: _compiled_best(nodes, limit),
        lambda: _best_at_once(nodes, limit),
    )


def _best_at_once(nodes, limit):
    products = all_products(nodes)
    number, place = tf.math.top_k(products, limit)
    return number, tf.cast(place, tf.int64)


def _compiled_best(nodes, limit):
    """`best_products` in calls of nodes of one row."""
    calls = cut(nodes.row, tf.shape(nodes.source, tf.int64)[0])
    fields = padded(nodes.unit, nodes.sign)

    def body(call, numbers, places):
        source = nodes.source[calls.run[call]]
        unit, sign = calls.nodes(call, *fields)
        maxima = _compiled_maxima(nodes.weight_rows, source, unit, sign)
        place = _in_best_blocks(maxima, limit)
        number, best = tf.math.top_k(
            _products_at(nodes.weight_rows, source, unit, sign, place),
            limit,
        )
        place = tf.gather(place, best, batch_dims=1)
        count = calls.size[call]
        return call + 1, numbers.write(call, number[:count]), places.write(call, place[:count])

    found = tf.zeros([0, limit], tf.float32), tf.zeros([0, limit], tf.int64)
    arrays = [collect(calls.count, empty) for empty in found]
    _, *arrays = tf.while_loop(lambda call, *_: call < calls.count, body, (0, *arrays))
    return tuple(array.concat() for array in arrays)


@tf.function(jit_compile=True, autograph=False)
def _compiled_maxima(weight_rows, source, unit, sign):
    """The largest product in each block of inputs: (M, blocks)."""
    products = tf.gather(weight_rows, unit) * source * sign[:, None]
    nodes, inputs = tf.unstack(tf.shape(products))
    fill = [[0, 0], [0, tf.math.floormod(-inputs, _BLOCK)]]
    products = tf.pad(products, fill, constant_values=-float("inf"))
    return tf.reduce_max(tf.reshape(products, [nodes, -1, _BLOCK]), axis=2)


def _in_best_blocks(maxima, limit):
    """Where the `limit` largest products must be: in as many blocks, those with the largest maxima.

    Returns:
        (M, P) int64 inputs in ascending order, so that ties go to the first; some may lie behind
        the last one.
    """
    nodes, blocks = tf.unstack(tf.shape(maxima))
    block = tf.sort(tf.math.top_k(maxima, tf.minimum(limit, blocks)).indices, axis=1)
    place = tf.reshape(block[:, :, None] * _BLOCK + tf.range(_BLOCK), [nodes, -1])
    return tf.cast(place, tf.int64)


def _products_at(weight_rows, source, unit, sign, place):
    """The products of each node at (M, P) inputs; -inf behind the last one."""
    inputs = tf.size(source, tf.int64)
    real = tf.minimum(place, inputs - 1)
    weight = tf.gather(tf.reshape(weight_rows, [-1]), unit[:, None] * inputs + real)
    return tf.where(place < inputs, weight * sign[:, None] * tf.gather(source, real), -float("inf"))
