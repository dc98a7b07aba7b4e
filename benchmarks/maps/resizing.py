"""Maps of a layer's cells on the picture: the same for all methods."""

import numpy as np
import tensorflow as tf

from .subject import Subject


def to_pixels(cells: np.ndarray, subject: Subject) -> np.ndarray:
    """Maps interpolated between the centres of their cells; what is below 0 becomes 0.

    Where photographs lie side by side and have nothing to do with each other, each is by itself.

    Args:
        cells: (N, h, w) float32.
        subject: The network.

    Returns:
        (N, height, width) float32.
    """
    side = subject.side
    rows = [np.split(row, side, axis=2) for row in np.split(cells, side, axis=1)]
    size = [n // side for n in subject.size]
    return np.concatenate(
        [np.concatenate([_resized(part, size) for part in row], axis=2) for row in rows], axis=1
    )


def _resized(cells: np.ndarray, size: list[int]) -> np.ndarray:
    return np.maximum(tf.image.resize(cells[..., None], size).numpy()[..., 0], 0)
