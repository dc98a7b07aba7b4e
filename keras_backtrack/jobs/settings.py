"""What a job does with every picture."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..runtime.version import __version__


@dataclass(frozen=True)
class Settings:
    """All that decides what comes out. Output of other settings is never mixed in.

    Attributes:
        model, weights, preprocess, resize, allow_code: As `load_network` takes them.
        target: Class to explain, name or number; None for each picture's predicted one.
        method, contrast, down_to, top_n, channels, positions: As `BacktrackExplainer` takes them.
        batch_size: Pictures that go through the network at once.
        part_size: Pictures in a file of the output; a multiple of `batch_size`.
        figures: Whether a figure of each picture is written.
    """

    model: str = "efficientnet-lite0"
    weights: str | None = None
    preprocess: str | None = None
    resize: str | None = None
    allow_code: bool = False
    target: str | None = None
    method: str = "backtrack"
    contrast: bool | float = True
    down_to: str | None = None
    top_n: int | None = 20
    channels: int | None = 1
    positions: int | None = 1
    batch_size: int = 16
    part_size: int = 64
    figures: bool = False

    def __post_init__(self) -> None:
        if self.part_size % self.batch_size:
            raise ValueError(
                "The size of a part must be a multiple of the batch size. "
                f"Received: parts of {self.part_size}, batches of {self.batch_size}."
            )

    @cached_property
    def record(self) -> dict[str, Any]:
        """The settings, and digests of the files among them, since a file may change."""
        digests = {
            f"{name}_sha256": _digest(path)
            for name in ("model", "weights")
            if (path := getattr(self, name)) and Path(path).is_file()
        }
        return {**asdict(self), **digests}

    def to_json(self) -> str:
        """`record` on one line, the same for the same settings."""
        return json.dumps(self.record, sort_keys=True)


def versions() -> str:
    """The packages that decide what comes out, with their versions, as JSON on one line."""
    import numpy
    import PIL
    import tensorflow

    from ..graph.compat import keras

    found = {"keras_backtrack": __version__}
    for package in (tensorflow, keras, numpy, PIL):
        found[package.__name__] = package.__version__
    return json.dumps(found)


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
