"""Pages of what `keras-backtrack run` wrote: the photos are read again, the network is not run."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..explanation.decisions import Decision
from ..pictures.heatmaps import SIGMAS, unique_points
from ..pictures.page.cards import arrays_of, listed
from ..pictures.page.html import LONGEST_OF_MANY, PageEntry
from ..pictures.photos import Frame, PhotoError, as_text, read_photo

if TYPE_CHECKING:
    import pyarrow.parquet as pq

# What older files have as well.
_COLUMNS = (
    *("path", "height", "width", "target", "target_name", "score", "lost", "pixels", "mass"),
    *("seen", "settings"),
)
_NEW = (
    *("side", "versus", "versus_name", "logits", "cells", "label"),
    *("path_bytes", "input_height", "input_width"),
)
_SIZE = (224, 224)  # of maps where an older file does not say how large the network's input was


def count_rows(path: Path) -> int:
    """How many explanations a file holds.

    Raises:
        ImportError: If pyarrow is not installed.
        ValueError: If the file is no Parquet file, or of another kind.
    """
    file = _open(path)
    missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
    problem = f"it lacks the columns {missing}" if missing else ""
    if not missing and file.metadata.num_rows:
        try:
            [row] = next(file.iter_batches(1, columns=_COLUMNS)).to_pylist()
            _found(row)
        except OSError:
            raise
        except Exception as error:  # Damaged files make pyarrow raise all kinds.
            problem = f"its first row cannot be read ({type(error).__name__}: {error})"
    if problem:
        raise ValueError(
            "The file must hold explanations as this version of `keras-backtrack run` writes them; "
            f"{problem}. Received: {str(path)!r}."
        )
    return file.metadata.num_rows


def entries_in(path: Path, most: int) -> Iterator[PageEntry | PhotoError]:
    """What a page shows of each explanation in a file, or what is wrong with it or its photo.

    Args:
        path: The file. Photos are looked for where it says, then beside it.
        most: How many explanations at most.

    Raises:
        OSError, ValueError: If it comes to a row that cannot be read.
    """
    left, file = most, _open(path)
    columns = [name for name in (*_COLUMNS, *_NEW) if name in file.schema_arrow.names]
    try:
        for batch in file.iter_batches(batch_size=64, columns=columns):
            for row in batch.slice(0, left).to_pylist():
                try:
                    yield _entry(row, path.parent)
                except PhotoError as error:
                    yield error
            left -= batch.num_rows
            if left <= 0:
                return
    except OSError:
        raise
    except Exception as error:  # As in `count_rows`.
        raise ValueError(
            f"A row of the file cannot be read ({type(error).__name__}: {error}). "
            f"Received: {str(path)!r}."
        ) from None


def _open(path: Path) -> "pq.ParquetFile":
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError(
            "Reading Parquet files needs pyarrow: pip install 'keras-backtrack[run]'."
        ) from None
    try:
        return pq.ParquetFile(path)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            f"The file is no Parquet file ({error}). Received: {str(path)!r}."
        ) from None


def _found(row: dict) -> tuple[Frame, Decision, str]:
    """Where the network looked, the decision in its input's coordinates, and the method."""
    size = row.get("input_height") or _SIZE[0], row.get("input_width") or _SIZE[1]
    frame = Frame((row["height"], row["width"]), tuple(row["seen"]), size)
    decision = Decision.from_record(row)
    pixels, mass = unique_points(frame.in_network(decision.pixels), decision.mass)
    method = json.loads(row["settings"])["method"]
    if method not in SIGMAS:
        raise ValueError(f"no method of this version: {method!r}")
    return frame, replace(decision, pixels=pixels, mass=mass), method


def _entry(row: dict, folder: Path) -> PageEntry:
    file = Path(os.fsdecode(row.get("path_bytes") or row["path"]))
    photo = read_photo(file if file.is_file() else folder / file)
    if photo.shape[:2] != (row["height"], row["width"]):
        raise PhotoError(
            f"The photo must be the one that was explained, {row['height']} × {row['width']}. "
            f"Received: {photo.shape[0]} × {photo.shape[1]} in {str(file)!r}."
        )
    frame, decision, method = _found(row)
    numbers = decision.score, decision.lost, *decision.mass, *(decision.logits or ())
    if not np.isfinite(numbers).all():
        raise PhotoError(
            "A row must hold finite numbers: the score, the mass and what was lost. "
            f"Received: others for {str(file)!r}."
        )
    return PageEntry(
        listed(as_text(file.name), photo, frame, method, [decision], LONGEST_OF_MANY),
        {"decisions": [arrays_of(decision, frame.network)]},
    )
