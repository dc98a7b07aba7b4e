"""What a job writes: rows of explanations and of errors, as Arrow tables."""

import os
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from ..explanation.decisions import Decision
from ..pictures.photos import Frame, as_text

_TEXT = pa.dictionary(pa.int32(), pa.string())  # The same on many rows.
_TYPES = {
    "target": pa.int64(),
    "target_name": _TEXT,
    "score": pa.float32(),
    "side": pa.int8(),
    "versus": pa.int64(),
    "versus_name": _TEXT,
    # Of two, but older versions of pyarrow cannot read nulls among lists of a fixed size.
    "logits": pa.list_(pa.float32()),
    "lost": pa.float32(),
    "input_mass": pa.list_(pa.float32()),
    "pixels": pa.list_(pa.list_(pa.int32(), 2)),
    "mass": pa.list_(pa.float32()),
    "boxes": pa.list_(pa.list_(pa.int32(), 4)),
    "cells": pa.list_(pa.list_(pa.float32())),
    "label": _TEXT,
}
# Which row of a batch it is says nothing; the path does.
_FIELDS = [field.name for field in fields(Decision) if field.name != "image"]

# Of a path that is no text, and so is another one in `path`.
_BYTES = [("path_bytes", pa.binary())]

EXPLANATIONS = pa.schema(
    [
        ("path", pa.string()),
        *_BYTES,
        ("height", pa.int32()),
        ("width", pa.int32()),
        *((name, _TYPES[name]) for name in _FIELDS),
        ("seen", pa.list_(pa.float64(), 4)),
        ("input_height", pa.int32()),
        ("input_width", pa.int32()),
        ("settings", _TEXT),
        ("versions", _TEXT),
    ]
)
ERRORS = pa.schema(
    [
        ("path", pa.string()),
        *_BYTES,
        ("reason", pa.string()),
        ("settings", _TEXT),
        ("versions", _TEXT),
    ]
)
SCHEMAS = {"explanations": EXPLANATIONS, "errors": ERRORS}


def explanations(
    paths: Sequence[str],
    frames: Sequence[Frame],
    decisions: Sequence[Decision],
    settings: str,
    versions: str,
) -> pa.Table:
    """A row for each picture, pixels and boxes in the picture's own coordinates.

    With `seen` and the size of the network's input they can be had in that, too.

    Args:
        paths: The files.
        frames: The part of each that the network saw.
        decisions: Of each picture one, in its own coordinates.
        settings, versions: Stand in every row.
    """
    count = len(paths)
    columns = [
        *_paths(paths),
        np.array([frame.photo[0] for frame in frames], np.int32),
        np.array([frame.photo[1] for frame in frames], np.int32),
        *(_column(name, [getattr(d, name) for d in decisions]) for name in _FIELDS),
        pa.FixedSizeListArray.from_arrays(np.array([f.part for f in frames]).ravel(), 4),
        *(np.array([frame.network[axis] for frame in frames], np.int32) for axis in (0, 1)),
        _repeated(settings, count),
        _repeated(versions, count),
    ]
    return pa.table(columns, schema=EXPLANATIONS)


def errors(failed: Sequence[tuple[str, str]], settings: str, versions: str) -> pa.Table:
    """A row for each picture that could not be explained or drawn, with the reason."""
    columns = [
        *_paths([path for path, _ in failed]),
        pa.array([as_text(reason) for _, reason in failed], pa.string()),
        _repeated(settings, len(failed)),
        _repeated(versions, len(failed)),
    ]
    return pa.table(columns, schema=ERRORS)


def _paths(paths: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """Paths as text, and as bytes those that are none."""
    texts = [as_text(path) for path in paths]
    names = [
        None if text == path else os.fsencode(path) for text, path in zip(texts, paths, strict=True)
    ]
    return pa.array(texts, pa.string()), pa.array(names, pa.binary())


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    """A field of some decisions."""
    if name == "cells":
        return pa.array([None if v is None else list(v) for v in values], _TYPES[name])
    if not isinstance(values[0], np.ndarray):
        return pa.array(values, _TYPES[name])
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
    joined = np.concatenate(values)
    inner = pa.array(joined.ravel())
    if joined.ndim == 2:
        inner = pa.FixedSizeListArray.from_arrays(inner, joined.shape[1])
    return pa.ListArray.from_arrays(offsets, inner)


def _repeated(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([text]))
