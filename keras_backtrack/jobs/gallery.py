"""Pages of what `keras-backtrack run` wrote: the photos are read again, the network is not run."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..pictures.heatmaps import SIGMAS, unique_points
from ..pictures.page.cards import listed
from ..pictures.page.encoding import pixels_of
from ..pictures.page.html import LONGEST_OF_MANY, Shown
from ..pictures.photos import Frame, PhotoError, read_photo

_COLUMNS = ("path", "height", "width", "target", "target_name", "score", "lost", "pixels", "mass")
_SETTINGS = "settings"
_SEEN = "seen"
_SIZE = (224, 224)  # of the maps; the file does not say how large the network's input was


def count_rows(path: Path) -> int:
    """How many explanations a file holds.

    Raises:
        ImportError: If pyarrow is not installed.
        ValueError: If the file is no Parquet file, or of another kind.
    """
    file = _open(path)
    columns = [*_COLUMNS, _SEEN, _SETTINGS]
    missing = [name for name in columns if name not in file.schema_arrow.names]
    problem = f"it lacks the columns {missing}" if missing else ""
    if not missing and file.metadata.num_rows:
        [row] = next(file.iter_batches(1, columns=columns)).to_pylist()
        try:
            _found(row)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            problem = f"its first row cannot be read ({type(error).__name__}: {error})"
    if problem:
        raise ValueError(
            "The file must hold explanations as this version of `keras-backtrack run` writes them; "
            f"{problem}. Received: {str(path)!r}."
        )
    return file.metadata.num_rows


def shown_in(path: Path, most: int) -> Iterator[Shown | PhotoError]:
    """What a page shows of each explanation in a file, or what is wrong with its photo.

    Args:
        path: The file. Photos are looked for where it says, then beside it.
        most: How many explanations at most.
    """
    left = most
    for batch in _open(path).iter_batches(batch_size=64, columns=[*_COLUMNS, _SEEN, _SETTINGS]):
        for row in batch.slice(0, left).to_pylist():
            try:
                yield _shown(row, path.parent)
            except PhotoError as error:
                yield error
        left -= batch.num_rows
        if left <= 0:
            return


def _open(path: Path):
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


def _found(row: dict) -> tuple[Frame, np.ndarray, np.ndarray, dict, str]:
    """Where the network looked, its pixels and their mass, the decision, and the method."""
    frame = Frame((row["height"], row["width"]), tuple(row[_SEEN]), _SIZE)
    points = frame.in_network(np.reshape(row["pixels"], (-1, 2)).astype(float))
    points, mass = unique_points(points, np.array(row["mass"], np.float32))
    decision = {
        "target": int(row["target"]),
        "label": row["target_name"].split(", ")[0],
        "score": float(row["score"]),
        "logits": None,
        "lost": float(row["lost"]),
    }
    method = json.loads(row[_SETTINGS])["method"]
    if method not in SIGMAS:
        raise ValueError(f"no method of this version: {method!r}")
    return frame, points, mass, decision, method


def _shown(row: dict, folder: Path) -> Shown:
    file = Path(row["path"])
    photo = read_photo(file if file.is_file() else folder / file)
    if photo.shape[:2] != (row["height"], row["width"]):
        raise PhotoError(
            f"The photo must be the one that was explained, {row['height']} × {row['width']}. "
            f"Received: {photo.shape[0]} × {photo.shape[1]} in {str(file)!r}."
        )
    frame, points, mass, decision, method = _found(row)
    return Shown(
        listed(file.name, photo, frame, method, [decision], LONGEST_OF_MANY),
        {"decisions": [{"pixels": pixels_of(points, mass, _SIZE)}]},
    )
