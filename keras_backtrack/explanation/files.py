"""Explanations as files."""

import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import arguments
from ..pictures import heatmaps
from .decisions import Decision, Decisions
from .plain import VERSION, Plain

FORMATS = (".json", ".npz")  # that can be read again
_RAGGED = ("pixels", "mass", "boxes")
_NODES = ("count", "unit", "sign", "mass")


def write_text(path: Path, content: str) -> None:
    """Writes a text file.

    Raises:
        OSError: If it cannot be written there.
    """
    with arguments.accessed(path):
        path.write_text(content, encoding="utf-8")


def write_view(path: Path, figure: Callable[[], Any], page: Callable[[], str]) -> None:
    """Writes what one sees of an explanation, in the format that the path's end says.

    Args:
        path: The file.
        figure, page: Make what is written; only the one that is needed is called.

    Raises:
        OSError: If it cannot be written there.
        ValueError: If it ends in something else than `Explanation.save` knows.
    """
    if path.suffix in (".png", ".pdf", ".svg"):
        drawn = figure()
        with arguments.accessed(path):
            drawn.savefig(path, bbox_inches="tight")
    elif path.suffix == ".html":
        write_text(path, page())
    else:
        raise ValueError(
            "An explanation is saved as .json, .npz, .png, .pdf, .svg or .html. "
            f"Received: {str(path)!r}."
        )


def write(path: Path, plain: Plain, decisions: Sequence[Decision]) -> None:
    """Writes all that `read` reads, as the path's end says.

    Args:
        path: The file, its end one of `FORMATS`.
        plain: The explanation; its pictures are not written.
        decisions: The same for whoever reads the file without this library.

    Raises:
        OSError: If it cannot be written there.
    """
    if path.suffix == ".json":
        nodes = {name: _listed(held) for name, held in plain.nodes.items()}
        ended = {name: _shortest(mass) for name, mass in plain.ended.items()}
        records = [decision.record() for decision in decisions]
        content = {**plain.about, "decisions": records, "nodes": nodes, "lost_at": ended}
        write_text(path, json.dumps(content) + "\n")
        return
    about = {**plain.about, "nodes": list(plain.nodes), "lost_at": list(plain.ended)}
    columns: dict[str, Any] = {
        f"nodes_{field}": _joined([held[field] for held in plain.nodes.values()])
        for field in _NODES
    }
    columns["lost_at"] = _joined(list(plain.ended.values()))
    with arguments.accessed(path):
        np.savez_compressed(path, about=json.dumps(about), **_columns(decisions), **columns)


def read(path: Path) -> Plain:
    """Reads what `write` wrote.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no such file, or is damaged.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"Explanations are read from .json and .npz. Received: {str(path)!r}.")
    with arguments.accessed(path):
        content = path.read_bytes()
    try:
        plain = _from_json(content) if path.suffix == ".json" else _from_npz(content)
        _check(plain)
        return plain
    except _Newer as error:
        raise ValueError(f"{error} Received: {str(path)!r}.") from None
    except _DAMAGES as error:
        raise ValueError(
            "The file is no explanation that `save` wrote, or is damaged "
            f"({type(error).__name__}: {error}). Received: {str(path)!r}."
        ) from None


class _Newer(Exception):
    """A file of a later version."""


# What reading and taking apart anything else than such a file raises.
_DAMAGES = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, EOFError),
    *(
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RecursionError,
        MemoryError,
        OSError,
        RuntimeError,
    ),
)


def _from_json(content: bytes) -> Plain:
    about = json.loads(content)
    _check_version(about)
    records, nodes, ended = (about.pop(name) for name in ("decisions", "nodes", "lost_at"))
    columns = {name: [record[name] for record in records] for name in records[0]}
    held = {
        name: {field: np.array(own[field], _DTYPES[field]) for field in _NODES}
        for name, own in nodes.items()
    }
    masses = {name: np.array(mass, np.float32) for name, mass in ended.items()}
    return Plain(about, _asked(columns), held, masses)


def _from_npz(content: bytes) -> Plain:
    with np.load(BytesIO(content), allow_pickle=False) as columns:
        about = json.loads(str(columns["about"]))
        _check_version(about)
        names, ended = about.pop("nodes"), about.pop("lost_at")
        fields = {field: columns[f"nodes_{field}"] for field in _NODES}
        asked = _asked(columns)
        count = fields["count"].reshape(len(names), len(asked.targets))
        ends = np.cumsum(count.sum(axis=1))
        nodes = {}
        for name, own, end in zip(names, count, ends, strict=True):
            rows = slice(int(end - own.sum()), int(end))
            parts = {f: fields[f][rows].astype(_DTYPES[f], casting="safe") for f in _NODES[1:]}
            nodes[name] = {"count": own, **parts}
        lost_at = columns["lost_at"].reshape(len(ended), len(asked.targets)).astype(np.float32)
        return Plain(about, asked, nodes, dict(zip(ended, lost_at, strict=True)))


_DTYPES = {"count": np.int64, "unit": np.int64, "sign": np.int8, "mass": np.float32}


def _check_version(about: Any) -> None:
    if not isinstance(about, dict) or not isinstance(about.get("version"), int):
        raise ValueError("no version in it")
    if about["version"] > VERSION:
        raise _Newer(
            f"The file is of version {about['version']}, which a newer keras_backtrack wrote; this "
            f"one reads up to version {VERSION}."
        )


def _asked(columns: Mapping[str, Any]) -> Decisions:
    """What was asked and answered, of the fields of decisions."""
    target = np.array(columns["target"], np.int64)
    versus: Any
    logits: Any
    versus, logits = np.full(len(target), -1), np.full((len(target), 2), np.nan)
    if "versus" in columns and columns["versus"][0] is not None:
        versus, logits = columns["versus"], columns["logits"]
    return Decisions(
        target,
        np.array(versus, np.int64),
        np.array(columns["score"], np.float32),
        np.array(columns["side"], np.float32),
        np.array(logits, np.float32),
        np.array(columns["lost"], np.float32),
        np.array(columns["image"], np.int64),
    )


def _check(plain: Plain) -> None:
    """Raises ValueError where parts of an explanation do not fit together."""
    about, count = plain.about, len(plain.asked.targets)
    shapes, names = about["shapes"], list(about["shapes"])
    are_sizes = all(isinstance(n, int) and n >= 0 for shape in shapes.values() for n in shape)
    inputs = names[: about["inputs"]]
    labels = about["labels"]
    last = max(plain.asked.targets.max(initial=-1), plain.asked.versus.max(initial=-1))
    fits = bool(
        are_sizes
        and count > 0
        and about["input"] in inputs
        and about["method"] in heatmaps.SIGMAS
        and isinstance(about["contrast"], (int, float, type(None)))
        and isinstance(about["meaning"], str)
        and (labels is None or all(isinstance(name, str) for name in labels))
        and (labels is None or about["meaning"] == "unit" or last < len(labels))
        and {*about["fine"], *about["ends"]} <= set(inputs)
        and {*about["fine"].values(), *about["ends"].values()} <= set(names)
        and {*plain.nodes} <= {*names}
        and {*plain.ended} <= {*names}
        and all(len(field) == count for field in (*plain.asked, *plain.ended.values()))
        and set(about.get("words", {})) <= set(inputs)
        and all(
            _are_words(rows, shapes[name], plain.asked.image_index)
            for name, rows in about.get("words", {}).items()
        )
        and plain.asked.logits.shape == (count, 2)
        and (plain.asked.image_index >= 0).all()
    )
    for name, held in plain.nodes.items():
        fits = fits and _are_nodes(held, count, math.prod(shapes[name]))
    if not fits:
        raise ValueError("its parts do not fit together")


def _are_words(rows: Any, shape: Sequence[int], asked: np.ndarray) -> bool:
    """Whether texts are the words of an input of some shape, in each row that was asked about."""
    are_texts = all(isinstance(word, str) for own in rows.values() for word in own)
    are_there = {*map(str, asked.tolist())} <= set(rows) and all(map(str.isdecimal, rows))
    fit = len(shape) == 1 and all(isinstance(o, list) and len(o) <= shape[0] for o in rows.values())
    return are_texts and are_there and fit


def _are_nodes(held: Mapping[str, np.ndarray], decisions: int, size: int) -> bool:
    """Whether arrays say what decisions held at a tensor of so many units."""
    count, unit, sign, mass = (held[field] for field in _NODES)
    return bool(
        count.shape == (decisions,)
        and (count >= 0).all()
        and all(field.shape == (count.sum(),) for field in (unit, sign, mass))
        and ((unit >= 0) & (unit < size)).all()
        and (np.abs(sign) == 1).all()
        and np.isfinite(mass).all()
    )


def _listed(held: Mapping[str, np.ndarray]) -> dict[str, list]:
    return {name: _shortest(values) for name, values in held.items()}


def _shortest(values: np.ndarray) -> list:
    """Numbers as a list; of float32 with no more digits than tell them apart."""
    return (values.astype(str).astype(float) if values.dtype == np.float32 else values).tolist()


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


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
