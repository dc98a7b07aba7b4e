"""`benchmarks growth`."""

import json

import numpy as np
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.speed import growth


def test_slope_of_growth():
    points = [growth.Point("batch", n, 10 * n, 5.0, 3.0 * n**2) for n in (1, 2, 4, 8)]
    assert np.isclose(growth.slope(points), 2) and np.isclose(growth.slope(points, "nodes"), 2)


def test_growth_of_a_small_network(monkeypatch, tmp_path):
    monkeypatch.setattr(growth, "_values", lambda varied: [1, 2])
    arguments = ["growth", "depth", "--rounds", "3", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert "slope" in result.output and (tmp_path / "growth.png").stat().st_size > 0
    rows = json.loads((tmp_path / "growth.json").read_text())["rows"]
    assert [row["value"] for row in rows] == [1, 2] and rows[0]["nodes"] < rows[1]["nodes"]
    assert len((tmp_path / "growth.csv").read_text().splitlines()) == 3


def test_growth_with_threads(monkeypatch, tmp_path):
    """Each number of them in a process of its own."""
    monkeypatch.setattr(growth, "usable_cpus", lambda: 6)
    held = []

    def run(options, rounds):
        held.append(options)
        times = {"compiled": {"median": 8.0}, "explain": {"median": 9.0}}
        return {"rows": [{**times, "forward": "compiled", "pixels": [5]}]}

    monkeypatch.setattr(growth.settings, "run", run)
    points = list(growth.measure("threads", 3))
    assert held == [["--cores", n] for n in ("1", "2", "4", "6")]
    assert [point.backtrack for point in points] == [1.0] * 4
    assert np.isnan(growth.slope(points, "nodes"))
