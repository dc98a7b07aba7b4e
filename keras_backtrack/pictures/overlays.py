"""Pictures with what was found drawn over them, as arrays."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from .heatmaps import mass_map

# The page draws the same on its own: `ACCENT`, `STOPS` and `ATTENTION` in page/web/stage.js.
ACCENT = "#ff2d55"  # of important pixels and boxes
_ACCENT = 255 * np.array(to_rgb(ACCENT), np.float32)
_ATTENTION = colormaps["inferno"]
_ONE, _OTHER = (255 * np.array(to_rgb(colour)) for colour in ("#c8001e", "#0050c8"))


def with_attention(image: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """A picture in grey, so that all colour is attention, which glows where there is much of it.

    Args:
        image: (H, W, 3) uint8, or float in [0, 1].
        attention: (H, W) float in [0, 1].

    Returns:
        (H, W, 3) uint8.
    """
    weight = 0.8 * np.clip(1.15 * attention[..., None] ** 0.85, 0, 1)
    colours = 255 * _ATTENTION(attention)[..., :3]
    return _rounded((1 - weight) * _grey(image) + weight * colours)


def with_difference(image: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """A pale picture in grey, red where one of two leads and blue where the other does.

    Args:
        image: As for `with_attention`.
        difference: (H, W) float in [-1, 1], above 0 where it is the one.

    Returns:
        (H, W, 3) uint8.
    """
    weight = np.clip(1.5 * np.abs(difference)[..., None] ** 0.75, 0, 1)
    colours = np.where(difference[..., None] > 0, _ONE, _OTHER)
    return _rounded((1 - weight) * _faded(image) + weight * colours)


def faded(image: np.ndarray) -> np.ndarray:
    """A pale picture in grey, so that points stand out whatever is under them.

    Args:
        image: As for `with_attention`.

    Returns:
        (H, W, 3) uint8.
    """
    return _rounded(_faded(image).repeat(3, axis=-1))


def with_pixels(image: np.ndarray, points: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """A faded picture with its important pixels in red, the heaviest ones strongest.

    Args:
        image: As for `with_attention`.
        points: (P, 2) int rows (row, column).
        mass: (P,) float.

    Returns:
        (H, W, 3) uint8.
    """
    grey, shares = _faded(image), mass_map(points, mass, image.shape[:2])
    strength = np.sqrt(shares / (shares.max() or 1))[..., None]
    return _rounded(grey + strength * (_ACCENT - grey))


def with_region(image: np.ndarray, region: np.ndarray) -> np.ndarray:
    """A picture that is dark but for a region.

    Args:
        image: As for `with_attention`.
        region: (H, W) bool.

    Returns:
        (H, W, 3) uint8.
    """
    image = _as_255(image)
    return _rounded(np.where(region[..., None], image, 0.15 * image))


def with_boxes(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """A picture with boxes around parts of it.

    Args:
        image: As for `with_attention`.
        boxes: (B, 4) int rows (top, left, bottom, right), half open.

    Returns:
        (H, W, 3) uint8.
    """
    drawn = _as_255(image)
    line = max(1, round(max(image.shape[:2]) / 100))
    for top, left, bottom, right in boxes:
        inside = np.s_[top + line : bottom - line, left + line : right - line]
        kept = drawn[inside].copy()
        drawn[top:bottom, left:right] = _ACCENT
        drawn[inside] = kept
    return _rounded(drawn)


def _faded(image: np.ndarray) -> np.ndarray:
    return 0.55 * 255 + 0.45 * _grey(image)


def _grey(image: np.ndarray) -> np.ndarray:
    return _as_255(image).mean(axis=-1, keepdims=True)


def _as_255(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) * (1 if image.dtype == np.uint8 else 255)


def _rounded(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
