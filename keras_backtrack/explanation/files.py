"""Explanations as files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .decisions import records

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
