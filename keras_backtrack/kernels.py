"""The two heavy computations of a walk: what the channels of windows add up to, and the best."""

import tensorflow as tf

# Nodes in one call of the compiled kernel: XLA wants fixed shapes, and this many rows of a few
# hundred channels stay in the cache.
_ROWS = 256
# Products per node from which compiling pays.
_WORTH_COMPILING = 1024
# Columns in one block of `largest`.
_BLOCK = 64


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
    """`window_sums` in calls of `_ROWS` nodes of one image, so that no shape ever changes."""
    images = tf.shape(source, tf.int64)[0]
    first = tf.searchsorted(image, tf.range(images + 1))
    calls = (first[1:] - first[:-1] + _ROWS - 1) // _ROWS
    # For each call its image, and the nodes from `start` to `stop`.
    of_image = tf.repeat(tf.range(images), calls)
    number = tf.range(tf.size(of_image)) - tf.gather(tf.cumsum(calls) - calls, of_image)
    starts = tf.gather(first, of_image) + number * _ROWS
    stops = tf.minimum(starts + _ROWS, tf.gather(first, of_image + 1))
    row, inside = (tf.pad(t, [[0, _ROWS], [0, 0]]) for t in (row, inside))
    filters, sign = (tf.pad(t, [[0, _ROWS]]) for t in (filters, sign))

    def body(call, total):
        start, stop = starts[call], stops[call]
        nodes = [_fixed(t[start : start + _ROWS]) for t in (row, inside, filters, sign)]
        sums = _compiled_sums(source[of_image[call]], weight_rows, *nodes)
        return call + 1, total.write(call, sums[: stop - start])

    count = tf.size(of_image)
    total = tf.TensorArray(tf.float32, count + 1, infer_shape=False, element_shape=[None, None])
    # TensorFlow cannot join no parts, and there are none where all paths have ended.
    total = total.write(count, tf.zeros([0, tf.shape(source)[2]]))
    _, total = tf.while_loop(lambda call, _: call < count, body, (0, total))
    return total.concat()


def _fixed(tensor: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tensor, [_ROWS, *tensor.shape[1:]])


def largest(value: tf.Tensor, limit: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The `limit` largest numbers of each row, as `tf.math.top_k`, made for rows of thousands.

    They lie in the `limit` blocks of columns with the largest maxima, and only those are sorted.

    Args:
        value: (M, G) float32 above -inf.
        limit: How many.

    Returns:
        (M, L) float32 in descending order and (M, L) int32 columns, L the smaller of `limit` and
        G. Equal numbers come in the order of their columns.
    """
    count, columns = tf.unstack(tf.shape(value))
    blocks = (columns + _BLOCK - 1) // _BLOCK
    padded = tf.pad(value, [[0, 0], [0, blocks * _BLOCK - columns]], constant_values=-float("inf"))
    padded = tf.reshape(padded, [count, blocks, _BLOCK])
    best = tf.math.top_k(tf.reduce_max(padded, axis=2), tf.minimum(limit, blocks)).indices
    # In ascending order, so that ties still go to the lowest column.
    best = tf.sort(best, axis=1)
    candidates = tf.reshape(tf.gather(padded, best, batch_dims=1), [count, -1])
    number, place = tf.math.top_k(candidates, tf.minimum(limit, columns))
    column = tf.gather(best, place // _BLOCK, batch_dims=1) * _BLOCK + place % _BLOCK
    return number, column
