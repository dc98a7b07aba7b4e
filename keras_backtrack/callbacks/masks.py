"""Masks of the objects in the pictures that a callback watches."""

from typing import Any

import numpy as np

from ..checks import arguments
from ..explanation.explanation import Explanation


def check_masks(masks: Any, images: Any, targets: Any) -> np.ndarray:
    """Makes an array of what a user gave as masks.

    Args:
        masks, images, targets: As for `BacktrackCallback`.

    Raises:
        TypeError: If they hold no numbers.
        ValueError: If they are not (N, H, W), or, as far as that is known before there is a model,
            not as many or as large as the decisions' pictures.
    """
    masks = arguments.numbers("masks", masks)
    size: tuple[int, ...] = np.shape(images) if hasattr(images, "shape") else ()
    counts: set[int] = set()
    expected = "(decisions, height, width)"
    if len(size) == 4:
        # Rows of targets are classes of one image each, or one-hot.
        rows = _shape(targets)
        counts = {size[0], size[0] * rows[1]} if len(rows) == 2 else {size[0]}
        expected = f"({' or '.join(map(str, sorted(counts)))}, {size[1]}, {size[2]})"
    fits = masks.ndim == 3 and (not counts or len(masks) in counts)
    if not fits or (counts and masks.shape[1:] != size[1:3]):
        raise ValueError(
            f"`masks` must have the shape {expected}, one for each decision. "
            f"Received: shape {masks.shape}."
        )
    return masks


def _shape(targets: Any) -> tuple[int, ...]:
    try:
        return np.shape(targets)
    except ValueError:  # Rows of several lengths, which are refused later.
        return ()


def on_mask(e: Explanation, masks: np.ndarray) -> np.ndarray:
    """How much of the mass in pixels of each decision is on its mask: (N,) float32.

    Raises:
        ValueError: If there are more or fewer masks, or they are of another size.
    """
    expected = len(e), *e.shape[:2]
    if masks.shape != expected:
        raise ValueError(
            f"`masks` must have the shape {expected}, one for each decision. "
            f"Received: shape {masks.shape}."
        )
    shares = [
        mass[mask[tuple(points.T)] > 0].sum() / max(mass.sum(), 1e-30)
        for points, mass, mask in zip(e.pixels, e.mass, masks, strict=True)
    ]
    return np.array(shares, np.float32)
