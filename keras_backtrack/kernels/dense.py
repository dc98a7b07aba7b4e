"""Which inputs of a Dense layer contribute most to some of its units.

A kernel may have a hundred million weights, one unit's lie far apart in it, and a hundred units are
asked about: most of the time goes into fetching weights, so that little may happen besides.
"""

from typing import NamedTuple

import tensorflow as tf

from .calls import collect, cut, padded

# Inputs in one call of the compiled kernel.
_INPUTS = 1024
# Inputs from which compiling pays, and the number of nodes that it takes for each row.
_MANY_INPUTS, _MANY_NODES = 4096, 32
# Inputs in one block, of which first only the largest product counts.
_BLOCK = 16


class DenseNodes(NamedTuple):
    """M nodes at the output of a Dense layer, and what they are computed from.

    Attributes:
        kernel: (features, units) float32.
        active: (G,) int32 or int64 (what a place in the kernel needs), features.
        source: (rows, G) float32, the inputs of these features.
        row: (M,) int64, which row of `source` a node is computed from.
        unit: (M,) int64, which unit it is.
        sign: (M,) float32.
    """

    kernel: tf.Tensor
    active: tf.Tensor
    source: tf.Tensor
    row: tf.Tensor
    unit: tf.Tensor
    sign: tf.Tensor


def all_products(nodes: DenseNodes) -> tf.Tensor:
    """sign·W·A of each active input for each node.

    Returns:
        (G, M) float32, the order in which the kernel lies in memory.
    """
    weights = _weights(nodes.kernel, nodes.active[:, None], nodes.unit)
    return weights * nodes.sign * tf.transpose(tf.gather(nodes.source, nodes.row))


def best_products(nodes: DenseNodes, limit: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The `limit` largest of `all_products` for each node.

    Returns:
        (M, L) float32 in descending order and (M, L) int64 below G, L at most `limit` and at most
        G. Equal products come in the order of their inputs.
    """
    if limit > _INPUTS:
        return _best_at_once(nodes, limit)
    rows, inputs = tf.unstack(tf.shape(nodes.source))
    # Nodes are not in the order of rows where one image has several rows and several explanations.
    in_order = tf.reduce_all(nodes.row[1:] >= nodes.row[:-1])
    return tf.cond(
        (inputs >= _MANY_INPUTS) & (tf.size(nodes.row) >= _MANY_NODES * rows) & in_order,
        lambda: _compiled_best(nodes, limit),
        lambda: _best_at_once(nodes, limit),
    )


def _weights(kernel, feature, unit):
    """Single weights; `feature` and `unit` are broadcast against one another."""
    place = feature * tf.shape(kernel, feature.dtype)[1] + tf.cast(unit, feature.dtype)
    return tf.gather(tf.reshape(kernel, [-1]), place)


def _best_at_once(nodes, limit):
    products = all_products(nodes)
    inputs, count = tf.unstack(tf.shape(products))
    fill = [[0, tf.math.floormod(-inputs, _BLOCK)], [0, 0]]
    products = tf.pad(products, fill, constant_values=-float("inf"))

    def at(place):
        return tf.gather(tf.reshape(products, [-1]), place * count + tf.range(count)[:, None])

    number, place = _best(_maxima(products), at, limit)
    kept = tf.minimum(limit, inputs)
    return number[:, :kept], tf.cast(place[:, :kept], tf.int64)


def _compiled_best(nodes, limit):
    """`best_products` in calls of nodes of one row, with some inputs at a time."""
    calls = cut(nodes.row, tf.shape(nodes.source, tf.int64)[0])
    fields = padded(nodes.unit, nodes.sign)

    def body(call, numbers, places):
        # What is active in another image of the batch need not be in this one.
        of_row = nodes.source[calls.run[call]]
        mine = tf.where(of_row != 0)[:, 0]
        parts = tf.maximum((tf.size(mine) + _INPUTS - 1) // _INPUTS, 1)
        # What fills the last part up has products of 0, which nobody follows.
        fill = [[0, parts * _INPUTS - tf.size(mine)]]
        value = tf.pad(tf.gather(of_row, mine), fill)
        mine = tf.pad(mine, fill)
        feature = tf.gather(nodes.active, mine)
        in_parts = [tf.reshape(t, [parts, _INPUTS]) for t in (feature, value)]
        units, signs = calls.nodes(call, *fields)

        def add_part(part, maxima):
            found = _compiled_maxima(nodes.kernel, *(t[part] for t in in_parts), units, signs)
            return part + 1, maxima.write(part, found)

        def at(place):
            weight = _weights(nodes.kernel, tf.gather(feature, place), units[:, None])
            return weight * signs[:, None] * tf.gather(value, place)

        maxima = tf.TensorArray(tf.float32, parts, element_shape=[_INPUTS // _BLOCK, None])
        _, maxima = tf.while_loop(lambda part, _: part < parts, add_part, (0, maxima))
        number, place = _best(maxima.concat(), at, limit)
        count = calls.size[call]
        place = tf.gather(mine, place[:count])
        return call + 1, numbers.write(call, number[:count]), places.write(call, place)

    found = tf.zeros([0, limit], tf.float32), tf.zeros([0, limit], tf.int64)
    arrays = [collect(calls.count, empty) for empty in found]
    _, *arrays = tf.while_loop(lambda call, *_: call < calls.count, body, (0, *arrays))
    return tuple(array.concat() for array in arrays)


@tf.function(jit_compile=True, autograph=False)
def _compiled_maxima(kernel, active, value, unit, sign):
    return _maxima(_weights(kernel, active[:, None], unit) * sign * value[:, None])


def _maxima(products):
    """Of each block of inputs: (G, M) to (G / _BLOCK, M)."""
    inputs, nodes = tf.unstack(tf.shape(products))
    return tf.reduce_max(tf.reshape(products, [inputs // _BLOCK, _BLOCK, nodes]), axis=1)


def _best(maxima, at, limit):
    """The `limit` largest products of each node: they lie in as many blocks, those with the
    largest maxima, and only these are sorted.

    Args:
        maxima: (blocks, M) float32.
        at: From (M, P) int32 inputs to the products there.
        limit: How many.

    Returns:
        (M, L) numbers and (M, L) int32 inputs; L is less than `limit` where there are fewer.
    """
    blocks, nodes = tf.unstack(tf.shape(maxima))
    block = tf.math.top_k(tf.transpose(maxima), tf.minimum(limit, blocks)).indices
    # In ascending order, so that ties go to the first input.
    block = tf.sort(block, axis=1)
    place = tf.reshape(block[:, :, None] * _BLOCK + tf.range(_BLOCK), [nodes, -1])
    number, best = tf.math.top_k(at(place), tf.minimum(limit, tf.shape(place)[1]))
    return number, tf.gather(place, best, batch_dims=1)
