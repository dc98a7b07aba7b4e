"""What was explained, one row for each decision."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .explanation import Explanation


class Decisions(NamedTuple):
    """What was explained, one row for each decision: attributes of `Explanation`."""

    targets: np.ndarray
    versus: np.ndarray
    scores: np.ndarray
    logits: np.ndarray
    lost: np.ndarray
    image_index: np.ndarray


def records(e: "Explanation") -> list[dict]:
    """Each decision in plain values."""
    shares = e.input_mass
    is_picture = len(e.shape) == 3
    boxes = e.boxes() if is_picture else [np.zeros((0, 4), np.int32)] * len(e)
    return [
        {
            "image": int(e.image_index[i]),
            "target": int(e.targets[i]),
            "score": float(e.scores[i]),
            **_other_side(e, i),
            "lost": float(e.lost[i]),
            "input_mass": shares[i].tolist(),
            "pixels": pixels.tolist(),
            "mass": [round(float(m), 7) for m in mass],
            "boxes": own_boxes.tolist(),
        }
        for i, (pixels, mass, own_boxes) in enumerate(zip(e.pixels, e.mass, boxes, strict=True))
    ]


def _other_side(e: "Explanation", i: int) -> dict:
    if e.versus[i] < 0:
        return {}
    return {"versus": int(e.versus[i]), "logits": e.logits[i].tolist()}
