"""`benchmarks regions`, on a network that knows red from blue."""

import json

from click.testing import CliRunner
from coloured import write_picture

from benchmarks.__main__ import main
from benchmarks.maps import controls, regions


def test_regions(monkeypatch, model, rng, tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for i in range(6):
        write_picture(rng, tmp_path / f"images/{i}.png", tmp_path / f"masks/{i}.png")
    few = dict.fromkeys(("backtrack", "LayerCAM", controls.COLOUR), ((0.03,), (0.03,)))
    monkeypatch.setattr(regions, "SIGMAS", few)
    arguments = ["regions", "--model", model, "--preprocess", "unit", "--layer", "colours"]
    arguments += ["--data", tmp_path, "--limit", 5, "--out", tmp_path / "regions.json"]
    result = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "regions.json").read_text())["rows"]
    # Pixels, and a layer, each as it is and refined in two ways, and the choice among all.
    names = [row["name"] for row in rows]
    assert len(names) == len(set(names)) == 7 + 7 + 4
    assert all(0 < row["iou"] <= row["f1"] <= 1 and len(row["folds"]) == 5 for row in rows)
    assert all(0 <= row["blurred_iou"] <= 1 for row in rows if "blurred_iou" in row)
    assert max(row["iou"] for row in rows if row["name"].startswith("backtrack")) > 0.8
