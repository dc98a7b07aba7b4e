"""Explanations as files."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .decisions import Decision

_RAGGED = ("pixels", "mass", "boxes")


def write(
    path: Path,
    decisions: Callable[[], Sequence[Decision]],
    figure: Callable[[], Any],
    page: Callable[[], str],
) -> None:
    """Writes an explanation in the format that the path's end says.

    Args:
        path: The file.
        decisions, figure, page: Make what is written; no other than the one that is needed is
            called.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it ends in something else than `Explanation.save` knows.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The folder of the file must exist. Received: {str(path)!r}, no folder "
            f"{str(path.parent)!r}."
        )
    if path.suffix == ".json":
        records = [decision.record() for decision in decisions()]
        path.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    elif path.suffix == ".npz":
        np.savez_compressed(path, **_columns(decisions()))
    elif path.suffix in (".png", ".pdf", ".svg"):
        figure().savefig(path, bbox_inches="tight")
    elif path.suffix == ".html":
        path.write_text(page(), encoding="utf-8")
    else:
        raise ValueError(
            "An explanation is saved as .json, .npz, .png, .pdf, .svg or .html. "
            f"Received: {str(path)!r}."
        )


def _columns(decisions: Sequence[Decision]) -> dict[str, Any]:
    """The fields as arrays, a row for each decision; lists of many lengths one behind another."""
    columns: dict[str, Any] = {}
    for name in vars(decisions[0]):
        values = [getattr(decision, name) for decision in decisions]
        if name in _RAGGED:
            columns[name] = np.concatenate(values)
            columns[f"{name}_count"] = [len(value) for value in values]
        elif values[0] is not None:  # Either all have a foil or none has.
            columns[name] = values
    return columns
