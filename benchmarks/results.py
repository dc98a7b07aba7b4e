"""Result files: what was measured, on what host, held to what."""

import json
from pathlib import Path
from typing import Any

from .host import describe
from .profiles import Held


def record(benchmark: str, held: Held, **fields: Any) -> dict:
    """A result: the benchmark's name, the host and what it was held to, and what it measured."""
    return {"benchmark": benchmark, "host": {**describe(), "held": held._asdict()}, **fields}


def write(result: dict, path: Path) -> None:
    """Writes a result as JSON, its folder made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
