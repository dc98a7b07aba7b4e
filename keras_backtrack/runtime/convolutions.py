"""The convolutions that TensorFlow's oneDNN may compute wrongly.

Found by comparing some 100,000 small ones of all kinds with plain loops: with TensorFlow 2.21 and
AVX512 only those of `may_be_wrong` were wrong, and of them all that are padded, or where the
input's width, the window's and the stride have no common factor. (Those of a single image in
fused operations alone.) Numbers are taken from wrong rows, or from behind the input's memory.
"""

from collections.abc import Sequence

import numpy as np

WRONG_CONVOLUTIONS = (
    "convolutions of one channel whose stride across leaves one column of several rows"
)


def may_be_wrong(
    channels: int, window: Sequence[int], strides: Sequence[int], outputs: Sequence[int]
) -> bool:
    """Whether a convolution is of the kind that oneDNN has been seen to compute wrongly.

    Args:
        channels: Of the input.
        window, strides, outputs: For each spatial axis, of the output its size.
    """
    if channels != 1 or len(window) < 2:
        return False
    several_rows = outputs[-2] > 1 and strides[-2] == 1
    return several_rows and outputs[-1] == 1 and strides[-1] > 1 and window[-1] > 1


def is_wrong(
    inputs: Sequence[int], kernel: np.ndarray, strides: Sequence[int], padding: str
) -> bool:
    """Whether TensorFlow computes a convolution otherwise than in float64: without oneDNN.

    Args:
        inputs: Sizes of the input's spatial axes.
        kernel: (*window, channels, filters).
        strides: For each spatial axis.
        padding: `"same"` or `"valid"`.
    """
    import tensorflow as tf

    def convolved(x: tf.Tensor) -> list[tf.Tensor]:
        weights = tf.constant(kernel, x.dtype)
        return [
            tf.nn.convolution(x, weights, strides, padding.upper()),
            # What a layer becomes in a graph: one operation.
            tf.nn.relu(
                tf.nn.bias_add(
                    tf.nn.convolution(x, -weights, strides, padding.upper()),
                    tf.zeros(kernel.shape[-1], x.dtype),
                )
            ),
        ]

    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, *inputs, kernel.shape[-2])).astype(np.float32)
    computed, plain = tf.function(convolved)(x), convolved(x.astype(np.float64))
    return not all(
        np.allclose(one, other, rtol=1e-3, atol=1e-3 * max(np.abs(other).max(), 1e-30))
        for one, other in zip(computed, plain, strict=True)
    )


def has_wrong_convolutions() -> bool:
    """Whether one that is known to go wrong with oneDNN goes wrong in this process."""
    return is_wrong((4, 2), np.ones((1, 3, 1, 1), np.float32), (1, 3), "same")
