"""`benchmarks compare`."""

import json

from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.speed import cases, compare
from benchmarks.speed.timing import summary


def record(forward, explain, case=None):
    times = {"compiled": summary(forward), "explain": summary(explain), "forward": "compiled"}
    case = cases.Case("VGG19", 224, 1)._asdict() if case is None else case
    host = {"cpu": "a CPU", "cores": 2, "date": "2026-01-01T00:00:00"}
    return {"benchmark": "cost", "host": host, "rows": [{**case, **times}]}


def test_comparing_two_hosts(tmp_path):
    slow, fast = record([8.0, 8.0, 8.0], [10.0, 12.0, 14.0]), record([4.0] * 3, [2.0, 3.0, 4.0])
    (row,) = compare.speed_ups(slow, fast)
    assert row["forward"] == [2.0, 2.0, 2.0]
    # 12 ÷ 3, and the quartiles: 11 ÷ 3.5 and 13 ÷ 2.5.
    assert row["explain"] == [round(11 / 3.5, 3), 4.0, 5.2]
    paths = [tmp_path / name for name in ("slow.json", "fast.json", "other.json")]
    for path, content in zip(paths, (slow, fast, {"benchmark": "growth"}), strict=True):
        path.write_text(json.dumps(content))
    result = CliRunner().invoke(main, ["compare", *map(str, paths[:2])], catch_exceptions=False)
    assert "4.00 [3.14, 5.20]" in result.output
    result = CliRunner().invoke(main, ["compare", str(paths[0]), str(paths[2])])
    assert result.exit_code == 2 and "Received" in result.output


def test_older_files_know_no_contrast():
    old = {"network": "VGG19", "size": 224, "batch": 1, "method": "viterbi", "targets": 1}
    new = cases.Case("VGG19", 224, 1, "viterbi")._asdict()
    before = record([8.0] * 3, [12.0] * 3, old)
    assert compare.speed_ups(before, record([4.0] * 3, [6.0] * 3, new)) == []
    (row,) = compare.speed_ups(before, record([4.0] * 3, [6.0] * 3, {**new, "contrast": False}))
    assert row["explain"] == [2.0] * 3
