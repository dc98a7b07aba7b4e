"""What threads, instruction sets, oneDNN and ITEX bring on this host."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from keras_backtrack import runtime

from .compare import speed_ups

_TAKEN = {"one core": ["--cores", "1"], "AVX2": ["--isa", "AVX2"], "SSE4.1": ["--isa", "SSE41"]}
_STOCK = {"no oneDNN": ["--no-onednn"]}
# ITEX has a oneDNN of its own, which goes with it.
_ITEX = {"no ITEX": ["--no-itex"], "nor oneDNN": ["--no-itex", "--no-onednn"]}


def taken() -> dict[str, list[str]]:
    """What is taken away here, as options of the command line, by name.

    This host with nothing taken away is measured beside each.
    """
    return {**_TAKEN, **(_ITEX if runtime.itex_plugin() else _STOCK)}


def measure(repeats: int, rounds: int) -> dict[str, list[dict]]:
    """Runs the quick benchmark with each setting in a process of its own, in turns.

    Args:
        repeats: How often all of them run.
        rounds: Rounds of each run.

    Returns:
        For each of `taken()`, how many times as fast this host is without it: forward and explain,
        one entry for each repeat.
    """
    found: dict[str, list[dict]] = {name: [] for name in taken()}
    for _ in range(repeats):
        best = run([], rounds)
        for name, options in taken().items():
            (row,) = speed_ups(run(options, rounds), best)
            found[name].append({key: row[key][1] for key in ("forward", "explain")})
    return found


def run(options: list[str], rounds: int) -> dict:
    """The quick benchmark's record, from a process of its own held by `options`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "cost.json"
        command = [sys.executable, "-m", "benchmarks", *options, "cost", "--quick"]
        command += ["--rounds", str(rounds), "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text(encoding="utf-8"))


def table(found: dict[str, list[dict]]) -> str:
    """Medians over the repeats, lowest and highest in brackets, as text."""
    lines = [
        f"{'without it':>12} {'forward':>20} {'explain':>20}   (their time ÷ this host's best)"
    ]
    for name, entries in found.items():
        cells = []
        for key in ("forward", "explain"):
            values = sorted(entry[key] for entry in entries)
            cells.append(f"{values[len(values) // 2]:.2f} [{values[0]:.2f}, {values[-1]:.2f}]")
        lines.append(f"{name:>12} {cells[0]:>20} {cells[1]:>20}")
    return "\n".join(lines)
