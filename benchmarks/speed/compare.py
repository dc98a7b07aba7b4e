"""How much faster one host, or one setting, is than another."""

import json
from pathlib import Path

# What a row is of, and what it is where a file does not say: older ones know no contrast.
_KEYS = {
    "network": None,
    "size": None,
    "batch": None,
    "method": None,
    "targets": None,
    "contrast": False,
}


def speed_ups(first: dict, second: dict) -> list[dict]:
    """Compares the rows that two result files of `cost` share.

    Args:
        first, second: The records.

    Returns:
        For each row of both: what it is, and for forward and explain how many times as fast the
        second is, `[low, median, high]`: the medians' ratio, and the quartiles' that lie furthest
        apart.
    """
    others = {_key(row): row for row in second["rows"]}
    found = []
    for row in first["rows"]:
        other = others.get(_key(row))
        if other is None:
            continue
        times = {
            "forward": (row[row["forward"]], other[other["forward"]]),
            "explain": (row["explain"], other["explain"]),
        }
        found.append(
            {
                **dict(zip(_KEYS, _key(row), strict=True)),
                **{name: _speed_up(*pair) for name, pair in times.items()},
            }
        )
    return found


def read(path: Path) -> dict:
    """A result file of `cost`.

    Raises:
        ValueError: If it is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"A result file is JSON ({error}). Received: {path}.") from None
    if not isinstance(record, dict) or record.get("benchmark") != "cost":
        raise ValueError(
            "Result files written by `python -m benchmarks cost` can be compared. "
            f"Received: {path}."
        )
    return record


def table(first: dict, second: dict) -> str:
    """Both hosts and the speed-ups as text."""
    lines = [f"A: {_title(first)}", f"B: {_title(second)}", "", "A's time ÷ B's:"]
    lines.append(
        f"{'network':>18} {'method':>9} {'contrast':>8} {'size':>4} {'batch':>5} "
        f"{'forward':>20} explain"
    )
    for row in speed_ups(first, second):
        lines.append(
            f"{row['network']:>18} {row['method']:>9} {'yes' if row['contrast'] else 'no':>8} "
            f"{row['size']:>4} {row['batch']:>5} "
            f"{_spread(row['forward']):>20} {_spread(row['explain'])}"
        )
    return "\n".join(lines)


def _key(row: dict) -> tuple:
    return tuple(row.get(key, otherwise) for key, otherwise in _KEYS.items())


def _speed_up(slow: dict[str, float], fast: dict[str, float]) -> list[float]:
    pairs = [(slow["q1"], fast["q3"]), (slow["median"], fast["median"]), (slow["q3"], fast["q1"])]
    return [round(a / b, 3) for a, b in pairs]


def _spread(values: list[float]) -> str:
    low, median, high = values
    return f"{median:.2f} [{low:.2f}, {high:.2f}]"


def _title(record: dict) -> str:
    host = record["host"]
    held = ", ".join(f"{k}={v}" for k, v in host.get("held", {}).get("settings", {}).items())
    return f"{host['cpu']}, {host['cores']} cores, {host['date'][:10]}; {held or 'not held'}"
