"""Which inputs of a Dense layer contribute most to some of its units.

A kernel may have a hundred million weights, one unit's lie far apart in it, and a hundred units are
asked about: most of the time goes into fetching weights, so that little may happen besides.
"""

import tensorflow as tf

from .calls import collect, cut, padded

# Inputs in one call of the compiled kernel.
_INPUTS = 2048
# Inputs from which compiling pays, and the number of nodes that it takes for each row.
_MANY_INPUTS, _MANY_NODES = 4096, 32
# Inputs in one block of `_largest`.
_BLOCK = 64


def all_products(
    kernel: tf.Tensor,
    active: tf.Tensor,
    source: tf.Tensor,
    row: tf.Tensor,
    unit: tf.Tensor,
    sign: tf.Tensor,
) -> tf.Tensor:
    """sign·W·A of each active input for each node.

    Args:
        kernel: (features, units) float32.
        active: (G,) int32 or int64 (what a place in the kernel needs), features.
        source: (rows, G) float32, the inputs of these features.
        row: (M,) int64, which row of `source` a node is computed from.
        unit: (M,) int64, which unit it is.
        sign: (M,) float32.

    Returns:
        (G, M) float32, the order in which the kernel lies in memory.
    """
    products = _products(kernel, active, unit, sign)
    return products * tf.transpose(tf.gather(source, row))


def best_products(
    kernel: tf.Tensor,
    active: tf.Tensor,
    source: tf.Tensor,
    row: tf.Tensor,
    unit: tf.Tensor,
    sign: tf.Tensor,
    limit: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The `limit` largest of `all_products` for each node.

    Args:
        kernel, active, source, row, unit, sign: As for `all_products`.
        limit: How many.

    Returns:
        (M, L) float32 in descending order and (M, L) int32 below G, L at most `limit` and at most
        G. Equal products come in the order of their inputs.
    """
    nodes = kernel, active, source, row, unit, sign
    rows, inputs = tf.unstack(tf.shape(source))
    # Nodes are not in the order of rows where one image has several rows and several explanations.
    in_order = tf.reduce_all(row[1:] >= row[:-1])
    return tf.cond(
        (inputs >= _MANY_INPUTS) & (tf.size(row) >= _MANY_NODES * rows) & in_order,
        lambda: _compiled_best(*nodes, limit),
        lambda: _largest(all_products(*nodes), limit),
    )


def _products(kernel, active, unit, sign):
    place = active[:, None] * tf.shape(kernel, active.dtype)[1] + tf.cast(unit, active.dtype)
    return tf.gather(tf.reshape(kernel, [-1]), place) * sign


@tf.function(jit_compile=True, autograph=False)
def _compiled_products(kernel, active, source, unit, sign):
    return _products(kernel, active, unit, sign) * source[:, None]


def _compiled_best(kernel, active, source, row, unit, sign, limit):
    """`best_products` in calls of nodes of one row, with some inputs at a time."""
    rows, inputs = tf.unstack(tf.shape(source, tf.int64))
    calls = cut(row, rows)
    unit, sign = padded(unit, sign)
    parts = (inputs + _INPUTS - 1) // _INPUTS
    active, source = (
        tf.reshape(
            tf.pad(t, [*([0, 0] for _ in t.shape[1:]), [0, parts * _INPUTS - inputs]]),
            tf.concat([tf.shape(t, tf.int64)[:-1], [parts, _INPUTS]], axis=0),
        )
        for t in (active, source)
    )

    def body(call, numbers, places):
        mine = calls.nodes(call, unit, sign)
        of_row = source[calls.run[call]]

        def add_part(part, products):
            found = _compiled_products(kernel, active[part], of_row[part], *mine)
            return part + 1, products.write(part, found)

        products = tf.TensorArray(
            tf.float32, tf.cast(parts, tf.int32), element_shape=[_INPUTS, None]
        )
        _, products = tf.while_loop(
            lambda part, _: tf.cast(part, tf.int64) < parts, add_part, (0, products)
        )
        number, place = _largest(products.concat(), limit)
        count = calls.stop[call] - calls.start[call]
        # What was added to fill the last part up has products of 0, which nobody follows.
        place = tf.minimum(place, tf.cast(inputs - 1, tf.int32))
        return call + 1, numbers.write(call, number[:count]), places.write(call, place[:count])

    found = tf.zeros([0, limit], tf.float32), tf.zeros([0, limit], tf.int32)
    arrays = [collect(calls.count, empty) for empty in found]
    _, *arrays = tf.while_loop(lambda call, *_: call < calls.count, body, (0, *arrays))
    return tuple(array.concat() for array in arrays)


def _largest(value, limit):
    """The `limit` largest numbers of each column of (G, M), for a G of thousands.

    They lie in the `limit` blocks of rows with the largest maxima, and only those are sorted.
    Returns (M, L) numbers and their (M, L) int32 rows, as `best_products`.
    """
    rows, columns = tf.unstack(tf.shape(value))
    blocks = (rows + _BLOCK - 1) // _BLOCK
    value = tf.pad(value, [[0, blocks * _BLOCK - rows], [0, 0]], constant_values=-float("inf"))
    maxima = tf.transpose(tf.reduce_max(tf.reshape(value, [blocks, _BLOCK, columns]), axis=1))
    # In ascending order, so that ties go to the lowest row.
    block = tf.sort(tf.math.top_k(maxima, tf.minimum(limit, blocks)).indices, axis=1)
    row = tf.reshape(block[:, :, None] * _BLOCK + tf.range(_BLOCK), [columns, -1])
    candidates = tf.gather(tf.reshape(value, [-1]), row * columns + tf.range(columns)[:, None])
    number, place = tf.math.top_k(candidates, tf.minimum(limit, rows))
    return number, tf.gather(row, place, batch_dims=1)
