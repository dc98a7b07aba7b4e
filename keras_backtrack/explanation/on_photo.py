"""Explanations in the coordinates of the photo they are about."""

import numpy as np

from ..pictures import heatmaps
from ..pictures.figures import Row
from ..pictures.photos import Frame
from .explanation import Explanation


def photo_row(photo: np.ndarray, frame: Frame, e: Explanation, title: str) -> Row:
    """The explanation of one decision, drawn on the photo that it is about.

    Args:
        photo: (H, W, 3) uint8.
        frame: The part of it that the network saw.
        e: Of length 1.
        title: Stands over the photo.
    """
    attention = frame.map(e.attention()[0])
    return Row(
        photo,
        *frame.in_photo(e.pixels[0], e.mass[0]),
        attention,
        heatmaps.saliency(attention, heatmaps.THRESHOLDS[e.method]),
        frame.boxes(e.boxes()[0]),
        title,
    )
