"""`benchmarks saliency`, on a network that knows red from blue."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from coloured import run, write_picture
from PIL import Image

from benchmarks.__main__ import main
from benchmarks.maps import contenders, scoring

METHODS = ("posterior", "CAM", "centred", "chance", "tf-explain")


@pytest.fixture
def together(rng, tmp_path):
    """A folder as MSRA-B's, with some files that cannot be used."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for i in range(12):
        write_picture(rng, folder / f"{i}.jpg", folder / f"{i}.png")
    write_picture(rng, folder / "alone.jpg", None)
    (folder / "broken.jpg").write_bytes(b"no picture")
    Image.new("L", (80, 60), 255).save(folder / "broken.png")
    return folder


def test_saliency_of_a_folder(model, together, tmp_path):
    out = tmp_path / "out"
    wanted = [part for method in METHODS for part in ("--method", method)]
    wanted += ["--model", model, "--preprocess", "unit"]
    result = run("saliency", "--images", together, "--out", out, *wanted)
    record = json.loads((out / "results.json").read_text())
    assert record["pictures"] == 12
    assert "alone.jpg has no mask" in record["left_out"][0] and len(record["left_out"]) == 2
    rows = {row["method"]: row for row in record["rows"]}
    assert "error" in rows.pop("Grad-CAM (tf-explain)")
    assert list(rows)[-1] in (contenders.CHANCE, contenders.GAUSSIAN)
    assert rows["posterior"]["iou"] > 0.8 > rows[contenders.GAUSSIAN]["iou"] + 0.3
    assert rows["posterior"]["pointing"] == 1 and rows["posterior"]["mass_inside"] > 0.95
    low, high = rows["posterior"]["iou_95"]
    assert low <= rows["posterior"]["iou"] <= high
    assert len(rows["posterior"]["folds"]) == scoring.FOLDS
    with (out / "table.csv").open() as file:
        lines = {line["method"]: line for line in csv.DictReader(file)}
    assert float(lines["posterior"]["iou_low"]) == pytest.approx(low)
    with (out / "pictures.csv").open() as file:
        ious = [float(r["iou"]) for r in csv.DictReader(file) if r["method"] == "posterior"]
    assert np.mean(ious) == pytest.approx(rows["posterior"]["iou"], abs=1e-4)
    assert "| posterior |" in (out / "table.md").read_text() and "| posterior |" in result.output
    assert Image.open(out / "sheet.png").size[0] > 500


def test_saliency_refined_and_of_a_layer(model, together, tmp_path):
    wanted = ["--method", "posterior, layer", "--method", "centred"]
    wanted += ["--model", model, "--preprocess", "unit", "--maps", tmp_path / "maps"]
    rows = {}
    for refine in ([], ["--refine", "edges"]):
        run("saliency", "--images", together, "--out", tmp_path / "out", *wanted, *refine)
        record = json.loads((tmp_path / "out/results.json").read_text())
        assert record["refine"] == (refine[1] if refine else None)
        rows[bool(refine)] = {row["method"]: row for row in record["rows"]}
    plain, refined = (rows[kind]["posterior, layer"] for kind in (False, True))
    # Segments of 16 pixels are coarse on pictures of 32 × 32.
    assert refined["iou"] > 0.7 and plain["iou"] > 0.8
    # What is refined are regions, not where the map points.
    assert refined["pointing"] == plain["pointing"] == 1
    assert {step["sigma"] for step in refined["folds"]} <= set(scoring.REFINED_SIGMAS)
    assert rows[True][contenders.GAUSSIAN]["iou"] < refined["iou"] - 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "nowhere"], "no such folder"),
        (["--images", ".", "--method", "magic"], "no such method"),
        (["--images", "."], "at least two pictures"),
        (["--images", ".", "--model", "nothing.keras"], "no such model file"),
    ],
)
def test_wrong_arguments(model, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    arguments = ["saliency", "--model", str(model), *arguments]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and message in " ".join(result.output.split())
