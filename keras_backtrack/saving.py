"""Explanations as files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .explanation import Explanation

_RAGGED = ("pixels", "mass", "boxes")


def write(e: "Explanation", path: Path) -> None:
    """Writes an explanation in the format that the path's end says.

    Raises:
        ValueError: If it ends in something else than `Explanation.save` knows.
    """
    if path.suffix == ".json":
        path.write_text(json.dumps(records(e), indent=1) + "\n", encoding="utf-8")
    elif path.suffix == ".npz":
        rows = records(e)
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        counts = {f"{key}_count": [len(v) for v in columns[key]] for key in _RAGGED}
        flat = {key: np.concatenate([np.asarray(v) for v in columns.pop(key)]) for key in _RAGGED}
        np.savez_compressed(path, **columns, **flat, **counts)
    elif path.suffix in (".png", ".pdf", ".svg"):
        e.plot().savefig(path, bbox_inches="tight")
    elif path.suffix == ".html":
        path.write_text(e.to_html(), encoding="utf-8")
    else:
        raise ValueError(
            "An explanation is saved as .json, .npz, .png, .pdf, .svg or .html. "
            f"Received: {str(path)!r}."
        )


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
