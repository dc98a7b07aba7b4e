"""What each channel of a convolution's windows adds to its units."""

import tensorflow as tf


def window_sums(
    source: tf.Tensor,
    weight_rows: tf.Tensor,
    row: tf.Tensor,
    inside: tf.Tensor,
    filters: tf.Tensor,
) -> tf.Tensor:
    """Adds up, for each channel, the products W·A over the positions of a window.

    Positions are added in row-major order in float32, whatever the batch or the machine, and one
    by one: all products at once would fill the memory.

    Args:
        source: (rows, C), what the layer read.
        weight_rows: (filters · P, C), its weights: P rows for each filter.
        row: (M, P) int32, the rows of `source` in each window.
        inside: (M, P) bool, false in the padding.
        filters: (M,) int32, which filter.

    Returns:
        (M, C) float32.
    """
    taps = row.shape[1]
    total = tf.zeros([], tf.float32)
    for tap, (read, valid) in enumerate(
        zip(tf.unstack(row, taps, 1), tf.unstack(inside, taps, 1), strict=True)
    ):
        products = tf.gather(source, read) * tf.gather(weight_rows, filters * taps + tap)
        total += products * tf.cast(valid, tf.float32)[:, None]
    return total
