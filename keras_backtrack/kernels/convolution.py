"""What each channel of a convolution's windows adds to its units."""

import tensorflow as tf

from .calls import collect, cut, padded

# Products per node from which compiling pays.
_WORTH_COMPILING = 1024


def window_sums(
    source: tf.Tensor,
    weight_rows: tf.Tensor,
    image: tf.Tensor,
    row: tf.Tensor,
    inside: tf.Tensor,
    filters: tf.Tensor,
    sign: tf.Tensor,
) -> tf.Tensor:
    """Adds up, for each channel, the products W·A over the positions of a window.

    Positions are added in row-major order in float32, whatever the batch or the machine.

    Args:
        source: (N, rows, C), what the layer read.
        weight_rows: (filters · P, C), its weights: P rows for each filter.
        image: (M,) int64 in ascending order, row of the batch.
        row: (M, P) int32, the rows of `source[image]` in each window.
        inside: (M, P) bool, false in the padding.
        filters: (M,) int32, which filter.
        sign: (M,) float32, what the sums are multiplied with.

    Returns:
        (M, C) float32.
    """

    def at_once() -> tf.Tensor:
        flat = tf.reshape(source, [-1, tf.shape(source)[2]])
        rows = row + (tf.cast(image, tf.int32) * tf.shape(source)[1])[:, None]
        return _sums(flat, weight_rows, rows, inside, filters, sign)

    worth_compiling = tf.shape(source)[2] * row.shape[1] >= _WORTH_COMPILING
    return tf.cond(
        worth_compiling,
        lambda: _compiled_by_image(source, weight_rows, image, row, inside, filters, sign),
        at_once,
    )


def _sums(source, weight_rows, row, inside, filters, sign):
    """`window_sums` on a (rows, C) source. Tap by tap: all products at once would fill memory."""
    taps = row.shape[1]
    total = tf.zeros([], tf.float32)
    for tap, (read, valid) in enumerate(
        zip(tf.unstack(row, taps, 1), tf.unstack(inside, taps, 1), strict=True)
    ):
        products = tf.gather(source, read) * tf.gather(weight_rows, filters * taps + tap)
        total += products * tf.cast(valid, tf.float32)[:, None]
    return total * sign[:, None]


_compiled_sums = tf.function(_sums, jit_compile=True, autograph=False)


def _compiled_by_image(source, weight_rows, image, row, inside, filters, sign):
    """`window_sums` in calls of nodes of one image, so that no shape ever changes."""
    calls = cut(image, tf.shape(source, tf.int64)[0])
    fields = padded(row, inside, filters, sign)

    def body(call, total):
        nodes = calls.nodes(call, *fields)
        sums = _compiled_sums(source[calls.run[call]], weight_rows, *nodes)
        return call + 1, total.write(call, sums[: calls.stop[call] - calls.start[call]])

    total = collect(calls.count, tf.zeros([0, tf.shape(source)[2]]))
    _, total = tf.while_loop(lambda call, _: call < calls.count, body, (0, total))
    return total.concat()
