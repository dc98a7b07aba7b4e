"""What reads files and makes pages, as functions of bytes that nobody has looked at.

Each target ends in a result or in the error that its reader promises; anything else is a fault.
"""

import io
import json
import re
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from checkpoints import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_backtrack.jobs import gallery
from keras_backtrack.jobs.results import Results
from keras_backtrack.jobs.tables import EXPLANATIONS
from keras_backtrack.models.torch_checkpoint import read_checkpoint
from keras_backtrack.pictures.page.html import PageEntry, page
from keras_backtrack.pictures.photos import PhotoError, open_photo

_OWN = tempfile.TemporaryDirectory(prefix="fuzz-")  # Gone when this module is.
_FOLDER = Path(_OWN.name)


def _file(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    path.write_bytes(data)
    return path


def picture(data: bytes) -> None:
    """A picture's file: RGB, or `PhotoError`."""
    with suppress(PhotoError):
        photo = np.asarray(open_photo(_file("picture", data)))
        assert photo.ndim == 3 and photo.shape[2] == 3 and photo.dtype == np.uint8


def torch_checkpoint(data: bytes) -> None:
    """A checkpoint's file: arrays by name, or ValueError."""
    with suppress(ValueError):
        for array in read_checkpoint(_file("checkpoint", data)).values():
            array.sum()  # Reads all of it.


def parquet(data: bytes) -> None:
    """A file of explanations: what a gallery shows of each, or ValueError or OSError."""
    path = _file("explanations.parquet", data)
    with suppress(ValueError, OSError):
        if gallery.count_rows(path):
            list(gallery.entries_in(path, 3))


def job(data: bytes) -> None:
    """`job.json` of a folder of results: what is left to do, or ValueError."""
    _file("job.json", data)
    with suppress(ValueError):
        assert len(Results.read(_FOLDER).missing()) >= 0


_NUMBERS = st.one_of(
    st.floats(width=32), st.sampled_from([0.0, -1.0, 224.0, 1e30, float("inf"), float("nan")])
)
_INTS = st.one_of(st.integers(-3, 300), st.integers(-(2**31), 2**31 - 1))
_TEXT = st.one_of(
    st.text(max_size=20), st.sampled_from(["</script>", "<!--", "\u2028", "\0", "\\"])
)
_METHODS = ["viterbi", "posterior", "backtrack"]
_ROWS = st.fixed_dictionaries(
    {
        "path": st.one_of(st.just("photo.png"), _TEXT),
        "path_bytes": st.one_of(st.none(), st.binary(max_size=4)),
        "input_height": st.one_of(st.just(6), st.none(), _INTS),
        "input_width": st.one_of(st.just(9), st.none(), _INTS),
        "height": st.one_of(st.just(6), _INTS),
        "width": st.one_of(st.just(9), _INTS),
        "target": _INTS,
        "target_name": _TEXT,
        "score": _NUMBERS,
        "side": st.sampled_from([-1, 1]),
        "versus": st.one_of(st.none(), _INTS),
        "versus_name": st.one_of(st.none(), _TEXT),
        "logits": st.one_of(st.none(), st.lists(_NUMBERS, max_size=3)),
        "lost": _NUMBERS,
        "input_mass": st.lists(_NUMBERS, max_size=2),
        "pixels": st.lists(st.tuples(_INTS, _INTS), max_size=4),
        "mass": st.lists(_NUMBERS, max_size=4),
        "boxes": st.lists(st.tuples(_INTS, _INTS, _INTS, _INTS), max_size=2),
        "cells": st.one_of(st.none(), st.lists(st.lists(_NUMBERS, max_size=3), max_size=3)),
        "label": st.one_of(st.none(), _TEXT),
        "seen": st.one_of(st.just((0.0, 0.0, 6.0, 9.0)), st.tuples(*[_NUMBERS] * 4)),
        "settings": st.one_of(
            st.sampled_from(_METHODS).map(lambda name: json.dumps({"method": name})),
            st.sampled_from(["", "{}", "[]", "null", '{"method": []}', '{"method": 3}']),
        ),
        "versions": st.just("{}"),
    }
)


@settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_ROWS, min_size=1, max_size=3), st.sets(st.sampled_from(EXPLANATIONS.names)))
def _rows(rows: list[dict], without: set[str]) -> None:
    """Rows of a file that another program wrote: a page that scripts can read, or ValueError."""
    path = _FOLDER / "rows.parquet"
    Image.new("RGB", (9, 6)).save(_FOLDER / "photo.png")
    table = pa.Table.from_pylist(rows, EXPLANATIONS)
    # Most files have all columns, or there would be nothing to read.
    kept = [name for name in table.column_names if len(without) > 2 or name not in without]
    pq.write_table(table.select(kept), path)
    with suppress(ValueError, OSError):
        count = gallery.count_rows(path)
        found = [e for e in gallery.entries_in(path, count) if isinstance(e, PageEntry)]
        if found:
            _check_page(page(found, rows[0]["target_name"]), found)


def _check_page(text: str, entries: list[PageEntry]) -> None:
    """The data of a page is what went in, and no text in it ends its element."""
    blocks = re.findall(r'<script type="application/json" class="(\w+)">(.*?)</script>', text, re.S)
    assert [kind for kind, _ in blocks] == ["listed"] + ["details"] * len(entries)
    listed = json.loads(blocks[0][1])["pictures"]
    assert [each["name"] for each in listed] == [each.listed["name"] for each in entries]
    for (_, block), each in zip(blocks[1:], entries, strict=True):
        assert json.loads(block) == json.loads(json.dumps(each.details))


def rows(data: bytes) -> None:
    """Rows of a file, made out of bytes; these are Hypothesis's."""
    _rows.hypothesis.fuzz_one_input(data)


def _pictures() -> list[bytes]:
    """One of each format and mode that Pillow writes."""
    pixels, files = np.arange(7 * 5 * 4, dtype=np.uint8).reshape(7, 5, 4), []
    grey = pixels[..., 0]
    modes = [grey, pixels[..., :3], pixels, grey > 60]
    modes += [grey.astype(np.uint16) * 257, grey.astype(np.int32), grey.astype(np.float32)]
    kinds = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX", "DDS", "SGI")
    for values in modes:
        for kind in kinds:
            buffer = io.BytesIO()
            with suppress(OSError, ValueError, KeyError):  # Not all can hold all.
                Image.fromarray(values).save(buffer, kind)
                files.append(buffer.getvalue())
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., :3]).save(buffer, "JPEG", exif=exif)
    return [*files, buffer.getvalue()]


def _tables() -> list[bytes]:
    row = {
        **{"path": "photo.png", "height": 6, "width": 9, "target": 1, "target_name": "cat"},
        **{"score": 0.5, "lost": 0.0, "pixels": [(1, 2)], "mass": [1.0], "label": "cat"},
        **{"seen": (0.0, 0.0, 6.0, 9.0), "settings": '{"method": "backtrack"}', "versions": "{}"},
    }
    files = []
    for count in (0, 1, 3):
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([row] * count, EXPLANATIONS), buffer)
        files.append(buffer.getvalue())
    return files


def _checkpoints() -> list[bytes]:
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    return [
        checkpoint(OrderedDict(weight=weights)),
        checkpoint(OrderedDict(weight=weights, steps=np.array([3]), empty=weights[:0])),
    ]


def _jobs() -> list[bytes]:
    return [b'{"pictures": 5, "settings": {"part_size": 2}}', b"{", b""]


class Target(NamedTuple):
    """Something to fuzz.

    Attributes:
        run: Takes bytes; raises where it finds a fault.
        seeds: Bytes to begin with.
        share: Of the time.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    share: float


TARGETS = {
    "picture": Target(picture, _pictures, 3),
    "torch_checkpoint": Target(torch_checkpoint, _checkpoints, 2),
    "parquet": Target(parquet, _tables, 1),
    "rows": Target(rows, lambda: [bytes(500), bytes(range(256)) * 4], 2),
    "job": Target(job, _jobs, 0.5),
}
