"""Explanations in the coordinates of the photo they are about."""

import numpy as np

from ..pictures import heatmaps
from ..pictures.figures import Row
from ..pictures.photos import Frame
from .decisions import Decision


def photo_row(
    photo: np.ndarray, frame: Frame, decision: Decision, attention: np.ndarray, method: str
) -> Row:
    """A decision, drawn on the photo that it is about.

    Args:
        photo: (H, W, 3) uint8.
        frame: The part of it that the network saw.
        decision: Its pixels and boxes in the photo's coordinates.
        attention: (h, w) float32 in [0, 1], of the network's input.
        method: How paths were followed, which says where attention is salient.
    """
    on_photo = frame.map(attention)
    defaults = heatmaps.defaults_of(method, decision.cells is not None)
    region = heatmaps.saliency(on_photo, heatmaps.THRESHOLDS[defaults])
    found = decision.pixels, decision.mass, on_photo, region, decision.boxes
    return Row(photo, *found, decision.title)
