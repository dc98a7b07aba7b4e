"""Maps of a layer's cells on the picture: the same for all methods."""

import numpy as np
import tensorflow as tf


def to_pixels(cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps interpolated between the centres of their cells; what is below 0 becomes 0.

    Args:
        cells: (N, h, w) float32.
        size: Height and width of the picture.

    Returns:
        (N, height, width) float32.
    """
    return np.maximum(tf.image.resize(cells[..., None], size).numpy()[..., 0], 0)
