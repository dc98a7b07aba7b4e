"""`benchmarks truth`, on a network that knows red from blue."""

import json

from coloured import run, write_picture
from PIL import Image

from benchmarks.maps import contenders


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
    assert "### Insertion and deletion" in (out / "colours.md").read_text()
    assert "| posterior |" in result.output
    for name in ("figure-7-colours.png", "figure-8-colours.png"):
        assert Image.open(out / name).size[0] > 300
