"""The command line, as a user meets it."""

import base64
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from networks import layers
from PIL import Image

from keras_backtrack.cli import main
from keras_backtrack.graph.compat import keras
from keras_backtrack.pictures.photos import Frame


@pytest.fixture
def model(tmp_path):
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(x))
    path = tmp_path / "model.keras"
    keras.Model(image, layers.Dense(5, activation="softmax")(x)).save(path)
    return str(path)


@pytest.fixture
def photo(tmp_path, rng):
    path = tmp_path / "photo.png"
    Image.fromarray(rng.integers(0, 256, (60, 90, 3), np.uint8)).save(path)
    return str(path)


def run(*arguments):
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


def test_explains_a_photo(model, photo, tmp_path):
    result = run(photo, "--model", model, "--out", tmp_path / "out", "--target", 3)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out" / "photo.json").read_text())
    assert record["target"] == 3 and len(record["predictions"]) == 5
    assert record["target_name"] == "3" and record["versus"] is None
    pixels = np.array(record["pixels"])
    assert (pixels >= 0).all() and (pixels < [60, 90]).all() and pixels[:, 1].max() > 32
    assert (tmp_path / "out" / "photo.png").read_bytes().startswith(b"\x89PNG")


def test_why_this_and_not_that(model, photo, tmp_path):
    out = tmp_path / "out"
    result = run(photo, "--model", model, "--out", out, "--target", 3, "--versus", 1)
    assert result.exit_code == 0, result.output
    assert "'3 rather than 1'" in result.output and "photo-versus.png" in result.output
    record = json.loads((out / "photo.json").read_text())
    assert (record["target"], record["versus"], record["versus_name"]) == (3, 1, "1")
    assert len(record["logits"]) == 2
    for name in ("photo.png", "photo-versus.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    predicted = record["predictions"][0]["class"]
    other = (predicted + 1) % 5
    assert run(photo, "--model", model, "--out", out, "--versus", other).exit_code == 0
    record = json.loads((out / "photo.json").read_text())
    assert record["target"] == predicted
    result = run(photo, "--model", model, "--out", out, "--versus", predicted)
    assert result.exit_code == 2 and "told from another one" in result.output


def test_broken_photos_do_not_stop_the_others(model, photo, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    whole = tmp_path / "whole.jpg"
    Image.open(photo).save(whole)
    (tmp_path / "half.jpg").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    photos = [tmp_path / "text.jpg", tmp_path / "half.jpg", tmp_path / "none.jpg", photo]
    result = run(*photos, "--model", model, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "not a picture. Received" in result.output
    assert "cannot be read" in result.output and "truncated" in result.output
    assert "no such file. Received" in result.output
    assert "3 of 4 photos" in result.output
    assert (tmp_path / "out" / "photo.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "vgg61"], "There is no network of this name; near it are"),
        (["--model", "none.keras"], "no such model file"),
        (["--target", "7"], "from 0 to 4. Received: class 7"),
        (["--target", "tabby"], "no class of this name. Received: 'tabby'"),
        (["--target", "2", "--versus", "2"], "--versus are one class. Received: '2'"),
        (["--versus", "9"], "from 0 to 4. Received: class 9"),
        (["--preprocess", "odd"], "`preprocess` must be one of"),
        (["--top-n", "0"], "at least 1, or 'all'. Received: '0'"),
        (["--weights", "w.h5"], "has its own weights"),
    ],
)
def test_wrong_arguments(model, photo, arguments, message):
    chosen = [] if "--model" in arguments else ["--model", model]
    result = run(photo, *chosen, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_code_in_a_model_file_is_refused(photo, tmp_path):
    image = keras.Input((8, 8, 3))
    x = layers.Dense(2)(layers.Flatten()(layers.Lambda(lambda x: x * 2)(image)))
    keras.Model(image, x).save(tmp_path / "code.keras")
    result = run(photo, "--model", tmp_path / "code.keras", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "--allow-code" in result.output


def test_missing_extra(photo, monkeypatch):
    monkeypatch.setattr("keras_backtrack.models.efficientnet.util.find_spec", lambda name: None)
    result = run(photo)
    assert result.exit_code == 2 and "keras-backtrack[demo]" in result.output


def test_turns_onednn_on_before_tensorflow_is_imported():
    code = """
import os
import sys
from keras_backtrack.cli import main

class Tripwire:
    def find_spec(name, path=None, target=None):
        if name == "tensorflow":
            print("oneDNN", os.environ.get("TF_ENABLE_ONEDNN_OPTS"))
            raise SystemExit(3)

assert "tensorflow" not in sys.modules
sys.meta_path.insert(0, Tripwire)
main(["explain", "photo.jpg"])
"""
    environ = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "oneDNN 1\n"), done.stderr


def test_a_frame_maps_places_back():
    frame = Frame.crop((512, 1024), (224, 224))
    assert frame.part == (32.0, 288.0, 480.0, 736.0)
    assert frame.points(np.array([[0, 0], [223, 223]])).tolist() == [[33, 289], [479, 735]]
    assert frame.boxes(np.array([[0, 0, 224, 224]])).tolist() == [[32, 288, 480, 736]]
    seen = frame.map(np.ones((224, 224), np.float32))
    assert seen.shape == (512, 1024) and seen.sum() == 448 * 448
    white = np.full((512, 1024, 3), 255, np.uint8)
    assert frame.cut(white).shape == (224, 224, 3) and frame.cut(white).dtype == np.uint8


def report(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_writes_a_page(model, photo, tmp_path):
    out = tmp_path / "new folder" / "page.html"
    result = report(photo, "--model", model, "--out", out, "--target", 3, "--target", 1)
    assert result.exit_code == 0, result.output
    assert "1 of 1 pictures" in result.output
    text = out.read_text(encoding="utf-8")
    assert "photo.png</title>" in text and "data:image/jpeg" in text
    assert re.findall('"target":([0-9]+)', text) == ["3", "1"]
    assert "http" not in text.replace("http-equiv", "")


def test_a_page_of_two_classes_and_their_difference(model, photo, tmp_path):
    out = tmp_path / "page.html"
    given = (photo, "--model", model, "--out", out, "--target", 3)
    result = report(*given, "--versus", 1)
    assert result.exit_code == 0, result.output
    assert re.findall('"label":"([^"]*)"', out.read_text()) == ["3", "1", "3 rather than 1"]
    result = report(*given, "--versus", 3)
    assert result.exit_code == 2 and "are one class. Received" in result.output


@pytest.mark.parametrize("method", ["posterior", "contrastive"])
def test_a_page_of_all_paths_has_nodes_at_every_layer(model, photo, tmp_path, method):
    out = tmp_path / "page.html"
    result = report(photo, "--model", model, "--out", out, "--method", method)
    assert result.exit_code == 0, result.output
    details = json.loads(re.search('class="details">(.*?)</script>', out.read_text())[1])
    assert all(layer["nodes"] for layer in details["decisions"][0]["layers"])


def test_a_page_of_a_folder(model, photo, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.png", "a.png"):
        Image.open(photo).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    (folder / "broken.jpg").write_text("no picture")
    result = report(folder, "--model", model, "--out", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "broken.jpg: The file is not a picture" in result.output
    assert "2 of 3 pictures" in result.output and "notes" not in result.output
    names = re.findall('"name":"([ab].png)"', (tmp_path / "page.html").read_text())
    assert names == ["a.png", "b.png"]


def test_nothing_to_report(model, photo, tmp_path):
    (tmp_path / "empty").mkdir()
    result = report(tmp_path / "empty", "--model", model)
    assert result.exit_code == 2 and "must hold pictures. Received" in result.output
    result = report(photo, "--model", model, "--out", tmp_path)
    assert result.exit_code == 2 and "is a directory" in result.output
    result = report(photo, "--model", model, "--out", f"{photo}/page.html")
    assert result.exit_code == 2 and "must be a file that can be written" in result.output
    result = report(tmp_path / "none.jpg", "--model", model, "--out", tmp_path / "page.html")
    assert result.exit_code == 2 and not (tmp_path / "page.html").exists()


@pytest.fixture
def table(photo, tmp_path):
    """A file as `keras-backtrack run` writes it, one of its photos gone."""
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
    import pyarrow.parquet as pq

    rows = [
        {
            "path": path,
            "height": 60,
            "width": 90,
            "target": 1,
            "target_name": name,
            "score": score,
            "lost": 0.25,
            "pixels": [[10, 20], [50, 70]],
            "mass": [0.5, 0.25],
            "seen": [3.75, 18.75, 56.25, 71.25],
            "settings": '{"method": "posterior"}',
        }
        for path, name, score in ((photo, "bee", 0.75), ("gone.png", "ant", 0.5))
    ]
    path = tmp_path / "explanations.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_a_page_of_a_job(table, tmp_path):
    result = report(table, "--out", tmp_path / "page.html")
    assert result.exit_code == 2 and "gone.png" in result.output
    assert "1 of 2 pictures are in" in result.output
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    listed = json.loads(re.search('class="listed">(.*?)</script>', text)[1])
    [picture] = listed["pictures"]
    assert picture["decisions"][0]["label"] == "bee" and picture["photo_size"] == [60, 90]
    assert picture["sigma"] == 0.03 * 224 and picture["threshold"] == 0.2
    np.testing.assert_allclose(picture["part"], [0.0625, 18.75 / 90, 0.9375, 71.25 / 90])
    pixels = json.loads(re.search('class="details">(.*?)</script>', text)[1])["decisions"][0]
    place = np.frombuffer(base64.b64decode(pixels["pixels"]["place"][3:]), np.int32)
    top = np.floor(np.array([10.5 - 3.75, 50.5 - 3.75]) / 52.5 * 224)
    assert (place // 224 == top).all() and (place >= 0).all()
    result = report(table, "--out", tmp_path / "page.html", "--most", 1)
    assert result.exit_code == 0 and "--most takes more" in result.output


def test_parquet_of_another_kind(table, photo, tmp_path):
    import pyarrow.parquet as pq

    result = report(table, photo)
    assert result.exit_code == 2 and "a page by itself. Received" in result.output
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(table).drop_columns(["seen", "mass"]), other)
    result = report(other)
    assert result.exit_code == 2 and "lacks the columns" in result.output
    rows = pq.read_table(table).to_pylist()
    for name, value in (("settings", "{}"), ("settings", '{"method": "x"}'), ("seen", None)):
        new = [{**row, name: value} for row in rows]
        pq.write_table(pq.read_table(table).from_pylist(new), other)
        result = report(other)
        assert result.exit_code == 2 and "its first row cannot be read" in result.output
    (tmp_path / "text.parquet").write_text("no table")
    result = report(tmp_path / "text.parquet")
    assert result.exit_code == 2 and "no Parquet file" in result.output
