"""Pictures with what was found drawn over them, as arrays."""

import numpy as np
from matplotlib import colormaps

_RED = np.float32([255, 45, 85])


def with_attention(image: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """A picture in grey, so that all colour is attention, which glows where there is much of it.

    Args:
        image: (H, W, 3) uint8, or float in [0, 1].
        attention: (H, W) float in [0, 1].

    Returns:
        (H, W, 3) uint8.
    """
    weight = 0.8 * np.clip(1.15 * attention[..., None] ** 0.85, 0, 1)
    colours = 255 * colormaps["inferno"](attention)[..., :3]
    return _rounded((1 - weight) * _grey(image) + weight * colours)


def with_pixels(image: np.ndarray, points: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """A faded picture with its important pixels in red, the heaviest ones strongest.

    Args:
        image: As for `with_attention`.
        points: (P, 2) int rows (row, column).
        mass: (P,) float.
    """
    grey = 0.55 * 255 + 0.45 * _grey(image)
    strength = np.zeros((*image.shape[:2], 1), np.float32)
    if len(points):
        strength[tuple(points.T)] = np.sqrt(mass / mass.max())[:, None]
    return _rounded(grey + strength * (_RED - grey))


def with_boxes(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """A picture with boxes around parts of it.

    Args:
        image: As for `with_attention`.
        boxes: (B, 4) int rows (top, left, bottom, right), half open.
    """
    drawn = _as_255(image)
    line = max(1, round(max(image.shape[:2]) / 100))
    for top, left, bottom, right in boxes:
        inside = np.s_[top + line : bottom - line, left + line : right - line]
        kept = drawn[inside].copy()
        drawn[top:bottom, left:right] = _RED
        drawn[inside] = kept
    return _rounded(drawn)


def _grey(image: np.ndarray) -> np.ndarray:
    return _as_255(image).mean(axis=-1, keepdims=True)


def _as_255(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) * (1 if image.dtype == np.uint8 else 255)


def _rounded(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
