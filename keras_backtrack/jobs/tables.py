"""What a job writes: rows of explanations and of errors, as Arrow tables."""

import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..explanation.explanation import Explanation
from ..pictures.photos import Frame

_TEXT = pa.dictionary(pa.int32(), pa.string())  # The same on many rows.

EXPLANATIONS = pa.schema(
    [
        ("path", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("target", pa.int64()),
        ("target_name", _TEXT),
        ("score", pa.float32()),
        ("lost", pa.float32()),
        ("pixels", pa.list_(pa.list_(pa.int32(), 2))),
        ("mass", pa.list_(pa.float32())),
        ("boxes", pa.list_(pa.list_(pa.int32(), 4))),
        ("seen", pa.list_(pa.float64(), 4)),
        ("settings", _TEXT),
        ("versions", _TEXT),
    ]
)
ERRORS = pa.schema(
    [("path", pa.string()), ("reason", pa.string()), ("settings", _TEXT), ("versions", _TEXT)]
)
SCHEMAS = {"explanations": EXPLANATIONS, "errors": ERRORS}


def explanations(
    paths: Sequence[str],
    frames: Sequence[Frame],
    e: Explanation,
    names: Sequence[str],
    settings: str,
    versions: str,
) -> pa.Table:
    """A row for each picture, pixels and boxes in the picture's own coordinates.

    Args:
        paths: The files.
        frames: The part of each that the network saw.
        e: Its explanation: of each picture one decision.
        names: Name of the class that each is about.
        settings, versions: Stand in every row.
    """
    points = zip(frames, e.pixels, e.mass, strict=True)
    pixels, mass = zip(*(frame.in_photo(p, m) for frame, p, m in points), strict=True)
    boxes = [frame.boxes(found) for frame, found in zip(frames, e.boxes(), strict=True)]
    count = len(paths)
    columns = [
        pa.array([as_text(path) for path in paths], pa.string()),
        np.array([frame.photo[0] for frame in frames], np.int32),
        np.array([frame.photo[1] for frame in frames], np.int32),
        e.targets,
        pa.array(names, pa.string()).dictionary_encode(),
        e.scores,
        e.lost,
        _lists(pixels, 2),
        _lists(mass),
        _lists(boxes, 4),
        pa.FixedSizeListArray.from_arrays(np.array([f.part for f in frames]).ravel(), 4),
        _repeated(settings, count),
        _repeated(versions, count),
    ]
    return pa.table(columns, schema=EXPLANATIONS)


def errors(failed: Sequence[tuple[str, str]], settings: str, versions: str) -> pa.Table:
    """A row for each picture that could not be explained, with the reason."""
    columns = [
        pa.array([as_text(path) for path, _ in failed], pa.string()),
        pa.array([as_text(reason) for _, reason in failed], pa.string()),
        _repeated(settings, len(failed)),
        _repeated(versions, len(failed)),
    ]
    return pa.table(columns, schema=ERRORS)


def as_text(path: str) -> str:
    """A path as text, which names of files need not be."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _lists(rows: Sequence[np.ndarray], width: int | None = None) -> pa.Array:
    """Of each picture a list; of numbers, or of rows of `width` numbers."""
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int32)
    values = pa.array(np.concatenate(rows).ravel())
    if width:
        values = pa.FixedSizeListArray.from_arrays(values, width)
    return pa.ListArray.from_arrays(offsets, values)


def _repeated(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([text]))
