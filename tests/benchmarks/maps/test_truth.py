"""`benchmarks truth`, on a network that knows red from blue."""

import json

import numpy as np
from coloured import run, write_picture
from PIL import Image

from benchmarks.maps import contenders, grid, truth
from benchmarks.maps.keeping import Keeper
from benchmarks.maps.truth_page import page


def test_truth(model, rng, tmp_path):
    data = tmp_path / "data"
    for folder in ("sod/images", "sod/masks", "imagenet", "dragonfly"):
        (data / folder).mkdir(parents=True)
    for i in range(4):
        write_picture(rng, data / "sod/images" / f"{i}.jpg", data / "sod/masks" / f"{i}.png")
        write_picture(rng, data / "imagenet" / f"{i}.jpg", None)
        write_picture(rng, data / "dragonfly" / f"{i}.jpg", None)
    out = tmp_path / "out"
    wanted = [
        part for method in ("posterior", "centred", "chance") for part in ("--method", method)
    ]
    arguments = ["--model", model, "--preprocess", "unit", "--data", data, "--few", 2, *wanted]
    result = run("truth", "--out", out, *arguments)
    record = json.loads((out / "colours.json").read_text())
    rows, counts = record["rows"], record["counts"]
    assert counts["randomised"] == 2 and counts["faithful"] == 4
    ours, control = rows["posterior"], rows[contenders.CHANCE]
    assert ours["faithful"]["difference"]["mean"] > control["faithful"]["difference"]["mean"] + 0.1
    assert ours["blurred"]["iou"]["mean"] > 0.7 and ours["blurred"]["class_changed"]["mean"] == 0
    assert control["discriminating"]["rank_correlation"]["mean"] < 0.9
    assert set(ours["randomised"]) == {"0.50", "1.00"}
    assert rows[contenders.GAUSSIAN]["discriminating"]["rank_correlation"]["mean"] > 0.999
    # With two classes there is none that is wrong besides another, and no mosaic of four.
    assert set(ours["failed"]) == {"wrong classes", *grid.KINDS}
    assert "photos of different classes" in ours["failed"]["grid"]
    assert "### Insertion and deletion" in (out / "colours.md").read_text()
    assert "| posterior |" in result.output
    for name in ("figure-7-colours.png", "figure-8-colours.png"):
        assert Image.open(out / name).size[0] > 300


def test_two_wrong_classes(rng):
    """Maps of a class are a noise of its own; of class 0 they are empty."""
    noise = np.append(np.zeros((1, 8, 8)), rng.random((4, 8, 8)), axis=0)

    class Known:
        prepared = staticmethod(lambda photos: photos)
        predict = staticmethod(lambda x: np.eye(5)[np.full(len(x), 3)])

    method = truth.Method(lambda x, targets: noise[targets], 0.0, 0.5)
    photos = rng.random((40, 8, 8, 3))
    found = truth.wrong_classes(Known, photos, "m", method, Keeper("net"))
    assert np.abs(found["rank_correlation"]).mean() < 0.3
    # Of four wrong classes one is empty.
    assert 0.1 < found["empty"].mean() < 0.4
    row = {"wrong classes": truth.summary(found)}
    for kind in grid.KINDS:
        columns = [f"{n} × {n}{of}" for n in (2, 3) for of in ("", ", smoothed", ", empty")]
        row[kind] = truth.summary(dict.fromkeys(columns, found["empty"]))
    nothing = truth.summary(dict.fromkeys(("pointing", "pointing_near", "iou"), found["empty"]))
    rows = {"m": {"pointing": nothing, **row, "failed": {"faithful": "why"}}}
    counts = dict.fromkeys(("pointing", *truth.KINDS), 40)
    text = page({"network": "net", "rows": rows, "counts": counts})
    assert "### DiFull" in text and "m, faithful: why" in text
    assert "### Wrong classes" in text and "| 3 × 3, smoothed |" in text
