"""`keras-backtrack report`."""

import base64
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from keras_backtrack import BacktrackExplainer
from keras_backtrack.cli import main
from keras_backtrack.models.networks import load_network
from keras_backtrack.pictures.heatmaps import LAYER_SIGMAS
from keras_backtrack.pictures.photos import read_photo


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


@pytest.mark.parametrize("contrast", ["on", "off", "0.5"])
@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
def test_a_page_has_nodes_wherever_there_are_any(model, photo, tmp_path, method, contrast):
    out = tmp_path / "page.html"
    given = (photo, "--model", model, "--out", out, "--method", method, "--contrast", contrast)
    result = report(*given)
    assert result.exit_code == 0, result.output
    details = json.loads(re.search('class="details">(.*?)</script>', out.read_text())[1])
    layers = zip(details["layers"], details["decisions"][0]["layers"], strict=True)
    without = [layer["way"] for layer, held in layers if not held["nodes"]]
    assert set(without) <= {"weighed"}
    assert not without if contrast == "off" else without
    assert "weighed down to" in details["note"] or contrast == "off"


def test_pages_of_a_network_of_one_unit(model_of_one_unit, photo, tmp_path):
    model, path = model_of_one_unit
    is_sigmoid = model.layers[-1].activation.__name__ == "sigmoid"
    out = tmp_path / "page.html"
    two = ("--target", "no", "--target", "yes")
    for more, labels in (
        ((), None),
        (
            two if is_sigmoid else ("--side", "low"),
            ["no", "yes"] if is_sigmoid else ["output, why low"],
        ),
    ):
        result = report(photo, "--model", path, "--out", out, *more)
        assert result.exit_code == 0, result.output
        text = out.read_text()
        found = re.findall('"label":"([^"]*)"', text)
        assert found == labels or (labels is None and len(found) == 1)
        assert '"is_current":true' in text


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


@pytest.mark.usefixtures("plain_graphs")
def test_a_page_of_a_job_of_this_version(photo, model_of_one_unit, tmp_path):
    """It has the maps that the figures have: those of the fine layer's cells."""
    _, path = model_of_one_unit
    out = tmp_path / "out"
    arguments = ["run", "--images", photo, "--out", out, "--model", path]
    assert CliRunner().invoke(main, [str(a) for a in arguments]).exit_code == 0
    part = out / "explanations" / "part-000000.parquet"
    result = report(part, "--out", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    listed = json.loads(re.search('class="listed">(.*?)</script>', text)[1])
    (picture,) = listed["pictures"]
    assert picture["sigma"] == LAYER_SIGMAS["backtrack"] * 32
    decision = json.loads(re.search('class="details">(.*?)</script>', text)[1])["decisions"][0]
    network = load_network(path)
    seen = network.frame((60, 90), network.size).cut(read_photo(photo))
    e = BacktrackExplainer(network.model).explain(network.preprocess(seen[None]))
    assert picture["decisions"][0]["label"] == e.decisions()[0].label
    cells = np.frombuffer(base64.b64decode(decision["cells"]["mass"][3:]), np.float32)
    want = e.mass_map(e.fine_layer)[0]
    assert decision["cells"]["size"] == list(want.shape)
    np.testing.assert_allclose(cells, want.reshape(-1), atol=1e-5)


def test_parquet_of_another_kind(table, photo, tmp_path):
    import pyarrow.parquet as pq

    result = report(table, photo)
    assert result.exit_code == 2 and "a page by itself. Received" in result.output
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(table).drop_columns(["seen", "mass"]), other)
    result = report(other)
    assert result.exit_code == 2 and "lacks the columns" in result.output
    rows = pq.read_table(table).to_pylist()
    for name, value in (
        ("settings", "{}"),
        ("settings", '{"method": "contrastive"}'),
        ("seen", None),
    ):
        new = [{**row, name: value} for row in rows]
        pq.write_table(pq.read_table(table).from_pylist(new), other)
        result = report(other)
        assert result.exit_code == 2 and "its first row cannot be read" in result.output
    (tmp_path / "text.parquet").write_text("no table")
    result = report(tmp_path / "text.parquet")
    assert result.exit_code == 2 and "no Parquet file" in result.output
