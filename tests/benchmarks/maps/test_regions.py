"""`benchmarks regions`, on a network that knows red from blue."""

import json

from click.testing import CliRunner
from coloured import write_picture

from benchmarks.__main__ import main
from benchmarks.maps import regions


def test_regions(monkeypatch, model, rng, tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for i in range(6):
        write_picture(rng, tmp_path / f"images/{i}.png", tmp_path / f"masks/{i}.png")
    monkeypatch.setattr(regions, "SIGMAS", {"posterior": ((0.03,), (0.03,))})
    arguments = ["regions", "--model", model, "--preprocess", "unit", "--layer", "colours"]
    arguments += ["--data", tmp_path, "--limit", 5, "--out", tmp_path / "regions.json"]
    result = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "regions.json").read_text())["rows"]
    # Pixels and a layer, each as it is and refined in two ways; and the choice among all.
    assert len(rows) == 7
    assert all(0 < row["iou"] <= row["f1"] <= 1 and len(row["folds"]) == 5 for row in rows)
    assert all(0 <= row["blurred_iou"] <= 1 for row in rows[:-1])
    assert max(row["iou"] for row in rows) > 0.8
