"""`benchmarks saliency` and `benchmarks truth`, on a network that knows red from blue."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from networks import layers
from PIL import Image

from benchmarks import contenders, regions, scoring
from benchmarks.__main__ import main
from benchmarks.keeping import Keeper
from keras_backtrack import metrics
from keras_backtrack.graph.compat import keras

METHODS = ("posterior", "CAM", "centred", "chance", "tf-explain")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """How much red, and how much blue, there is; what is grey counts for nothing."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(2, 1, activation="relu", name="colours")(image)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="classes")(x))
    # Red over green, and blue over green, beyond what the noise of a JPEG does.
    colours = np.float32([[1, -0.2], [-1, -1], [-0.2, 1]])
    model.get_layer("colours").set_weights([colours[None, None], np.float32([-0.3, -0.3])])
    model.get_layer("classes").set_weights([40 * np.eye(2, dtype="f"), np.zeros(2, "f")])
    path = tmp_path_factory.mktemp("model") / "colours.keras"
    model.save(path)
    return path


def write_picture(rng, path, mask_path):
    """A red or blue rectangle, off the centre, on grey noise."""
    photo = rng.integers(90, 130, (60, 80, 1)).repeat(3, axis=-1).astype(np.uint8)
    mask = np.zeros((60, 80), np.uint8)
    top, left = rng.choice([2, 34]), rng.choice([3, 48])
    place = slice(top, top + rng.integers(18, 25)), slice(left, left + rng.integers(20, 30))
    mask[place] = 255
    photo[place] = [(220, 30, 30), (30, 30, 220)][rng.integers(2)]
    Image.fromarray(photo).save(path, quality=95)
    if mask_path is not None:
        Image.fromarray(mask).save(mask_path)


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


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


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


def test_the_layer_that_is_fine_enough():
    image = keras.Input((64, 64, 3))
    fine = layers.MaxPooling2D(16, name="fine")(image)
    x = layers.Flatten()(layers.MaxPooling2D(2, name="coarse")(fine))
    model = keras.Model(image, layers.Dense(2)(x))
    assert contenders._last_fine_layer(model) == "fine"


def test_maps_are_kept(tmp_path, rng):
    images, targets, calls = rng.random((2, 4, 4, 3)), np.array([0, 1]), []

    def explain(x, targets):
        calls.append(len(x))
        return x[..., 0]

    for keeper in (Keeper("net", tmp_path), Keeper("net", tmp_path)):
        for _ in range(2):
            maps, seconds = keeper.maps("CAM", "pairs", images, targets, explain)
            np.testing.assert_allclose(maps, images[..., 0], rtol=1e-6)
            assert seconds >= 0
    assert calls == [2]
    # Of other images or classes it keeps nothing.
    for x, t in ((images[::-1] + 1, targets), (images, targets[::-1])):
        maps, _ = keeper.maps("CAM", "pairs", x, t, explain)
        np.testing.assert_allclose(maps, x[..., 0], rtol=1e-6)
    assert calls == [2, 2, 2]


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


def test_settings_come_from_other_pictures(rng):
    maps = rng.random((10, 20, 20), np.float32)
    masks = rng.random((10, 20, 20)) < 0.3
    folds = scoring.folds_of(10)
    assert sorted(np.bincount(folds)) == [2] * scoring.FOLDS
    before = scoring.score(maps, masks, folds).settings
    changed = masks.copy()
    changed[folds == 3] = True
    after = scoring.score(maps, changed, folds).settings
    assert after[3] == before[3] and after != before


def test_scores_are_the_metrics(rng):
    maps = scoring.smooth(rng.random((3, 16, 20), np.float32), 0.05)
    masks = maps > np.median(maps)
    ious = scoring._ious(maps, masks)
    for level in (1, 40, 100, 127):
        want = metrics.iou(maps >= level / scoring.LEVELS, masks, average=None)
        np.testing.assert_allclose(ious[:, level - 1], want)
    perfect = scoring.score(masks.astype(np.float32), masks, np.arange(3))
    assert perfect.values["iou"].min() == 1 and perfect.pooled_iou == 1
    assert perfect.settings[0]["sigma"] == 0
    tolerance = scoring.TOLERANCE * 20
    near = metrics.pointing_game(maps, masks, tolerance, average=None)
    # Where the same width is chosen in all folds, it is the metric of the maps at that width.
    found = scoring.score(maps, masks, np.arange(3))
    assert {step["pointing"] for step in found.settings} == {0.0}
    np.testing.assert_array_equal(found.values["pointing_near"], near)


def test_interval():
    values = np.random.default_rng(1).normal(3, 1, 400)
    low, high = scoring.interval(values)
    # 1.96 standard errors to either side.
    np.testing.assert_allclose([low, high], values.mean() + np.array([-1, 1]) * 0.098, atol=0.01)


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
