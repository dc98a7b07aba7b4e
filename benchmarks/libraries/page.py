"""What the result files say, as a part of SUPPORT.md."""

import json
from pathlib import Path

_NAME = "libraries-{}.json"


def read(folder: Path, library: str) -> dict[str, dict]:
    """The rows that there are for a library, by network."""
    path = folder / _NAME.format(library)
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return {row["network"]: row for row in rows}


def write(record: dict, folder: Path) -> None:
    """Writes a library's results."""
    path = folder / _NAME.format(record["library"])
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def tables(folder: Path) -> str:
    """A table for each library that there are results for."""
    paths = sorted(folder.glob(_NAME.format("*")), reverse=True)
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return "".join(map(_table, records))


def _table(record: dict) -> str:
    packages = record["host"]["packages"]
    works = sum(row["works"] for row in record["rows"])
    return (
        f"\n## {record['library']} {record['version']}, Keras {packages['keras']}\n\n"
        f"Written by `python -m benchmarks libraries {record['library']}` (`make support-hub`): "
        "built small, random weights, two rows of noise or of random tokens. One *works* where "
        "all three methods run, mass and lost mass add up to 1 and scores are those of `predict`. "
        f"{works} of {len(record['rows'])} do. {record['host']['date'][:10]}, "
        f"{record['host']['cores']} cores of {record['host']['cpu']}.\n\n"
        "| network | works | first call | later calls |\n|---|---|---|---|\n"
        + "".join(map(_line, record["rows"]))
    )


def _line(row: dict) -> str:
    if not row["works"]:
        return f"| {row['network']} | no: {row['error']} | | |\n"
    times = f"{row['first_call_seconds']} s | {1000 * row['later_call_seconds']:.0f} ms"
    return f"| {row['network']} | yes | {times} |\n"
