"""Folders of pictures: every picture exactly once, whatever happens."""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from folders import bomb, folder_of, line, noise, rows, run, small_network
from networks import layers
from PIL import Image

from keras_backtrack.cli import main
from keras_backtrack.graph.compat import keras
from keras_backtrack.jobs import batches as reading
from keras_backtrack.jobs.settings import Settings
from keras_backtrack.jobs.work import Worker


@pytest.fixture
def model(tmp_path):
    return small_network(tmp_path / "model.keras")


@pytest.mark.usefixtures("plain_graphs")
def test_explains_a_folder(model, tmp_path, rng):
    photos = folder_of(tmp_path / "photos", 2, rng)
    folder_of(photos / "more", 2, rng)
    (photos / "text.jpg").write_text("no picture")
    (photos / "notes.txt").write_text("not asked for")
    (photos / ".hidden.png").write_text("not asked for")
    (photos / "folder.jpg").mkdir()
    noise(rng).save(photos / "0ÿ.png")
    out = tmp_path / "out"
    said = run("--images", photos, "--out", out, "--model", model, "--figures")
    assert "5 pictures explained" in said and "2 could not be" in said
    found = rows(out)
    assert len(found) == 5 and found[-1]["path"].endswith("more/001.png")
    assert any(row["path"].endswith("/0ÿ.png") for row in found)
    reasons = {Path(row["path"]).name: row["reason"] for row in rows(out, "errors")}
    assert "not a picture" in reasons["text.jpg"] and "no file" in reasons["folder.jpg"]
    assert len(list((out / "figures").glob("*.png"))) == 5

    # The same as `explain` says.
    photo = str(photos / "001.png")
    arguments = ["explain", photo, "--model", str(model), "--out", str(tmp_path / "one")]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    want = json.loads((tmp_path / "one" / "001.json").read_text())
    (row,) = (row for row in found if row["path"] == photo)
    assert {*row} - {*want} == {"path", "path_bytes", "settings", "versions"}
    assert {*want} - {*row} == {"photo", "image", "predictions"}
    for key in {*want} & {*row} - {"mass", "score", "lost", "input_mass", "cells"}:
        assert row[key] == want[key]
    for key in ("mass", "score", "lost", "input_mass", "cells"):
        np.testing.assert_allclose(row[key], want[key], atol=1e-5)
    assert np.isclose(sum(row["mass"]) + row["lost"], 1, atol=1e-4)
    settings = json.loads(row["settings"])
    assert settings["model"] == str(model) and row["side"] == 1
    assert settings["method"] == "backtrack" and settings["contrast"] is True
    assert json.loads(row["versions"])["keras"] == keras.__version__

    result = CliRunner().invoke(main, ["merge", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    merged = pq.read_table(out / "explanations.parquet").to_pylist()
    assert sorted(merged, key=lambda row: row["path"]) == found
    assert pq.read_table(out / "errors.parquet").num_rows == 2


@pytest.mark.usefixtures("plain_graphs")
def test_parts_of_an_older_version_are_merged(model, tmp_path, rng):
    photos, out = folder_of(tmp_path / "photos", 6, rng), tmp_path / "out"
    run("--images", photos, "--out", out, "--model", model)
    path = out / "explanations" / "part-000000.parquet"
    old = pq.read_table(path, partitioning=None)
    pq.write_table(
        old.drop_columns(
            ["side", "versus", "versus_name", "logits", "input_mass", "label", "cells"]
        ),
        path,
    )
    result = CliRunner().invoke(main, ["merge", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    merged = pq.read_table(out / "explanations.parquet").to_pylist()
    assert [row["input_mass"] is None for row in merged] == [True] * 4 + [False] * 2
    assert all(len(row["pixels"]) == len(row["mass"]) > 0 for row in merged)


@pytest.mark.usefixtures("plain_graphs")
def test_a_single_cpu_does_one_thing_after_the_other(model, tmp_path, rng, monkeypatch):
    photos, done = folder_of(tmp_path / "photos", 4, rng), []
    paths = [str(path) for path in sorted(photos.iterdir())]
    read, explain = reading.open_photo, Worker._explain
    monkeypatch.setattr(reading, "open_photo", lambda path: done.append("read") or read(path))
    monkeypatch.setattr(Worker, "_explain", lambda *a: done.append("explain") or explain(*a))
    tables = {}
    for threads in (1, 2):
        done.clear()
        worker = Worker(Settings(str(model), batch_size=2, part_size=2), threads)
        found = []
        for each in worker.explain(paths):
            found += each.explanations.to_pylist()
            time.sleep(0.1)  # In which others would read ahead.
            done.append("pause")
        tables[threads] = found
        if threads == 1:
            assert done == ["read", "read", "explain", "pause"] * 2
    assert tables[1] == tables[2] and len(tables[1]) == 4


@pytest.mark.usefixtures("plain_graphs")
def test_other_settings_and_pictures_are_refused(model, tmp_path, rng):
    photos, out = folder_of(tmp_path / "photos", 5, rng), tmp_path / "out"
    given = ["--out", out, "--model", model]
    run("--images", f"{photos}/*.png", *given)
    before = rows(out)
    assert "5 pictures explained" in run("--images", photos, *given)
    said = run("--images", photos, *given, "--contrast", 0.5, code=1)
    assert "contrast was True and is 0.5" in said
    said = run("--images", photos, *given, "--target", 3, code=1)
    assert "holds results of other settings" in said and "target was None and is '3'" in said
    small_network(model)  # Other weights in a file of the same name.
    assert "model_sha256 was" in run("--images", photos, *given, code=1)
    assert rows(out) == before

    out = tmp_path / "other"
    given = ["--out", out, "--model", model]
    run("--images", photos, *given, "--shard", "1/2")
    assert len(rows(out)) == 4
    (photos / "000.png").unlink()
    noise(rng).save(photos / "new.png")
    said = run("--images", photos, *given, code=1)
    assert "1 new, such as" in said and "1 gone, such as" in said and "new.png" in said
    # What was begun can be finished.
    run("--images", out / "pictures.txt", *given)
    assert len({row["path"] for row in rows(out)}) == 5


@pytest.mark.usefixtures("plain_graphs")
def test_shards_share_the_work(model, tmp_path, rng):
    photos = folder_of(tmp_path / "photos", 11, rng)
    run("--images", photos, "--out", tmp_path / "whole", "--model", model)
    out = tmp_path / "out"
    given = ["--images", photos, "--out", out, "--model", model]
    assert "are left to other shards" in run(*given, "--shard", "2/2")
    result = CliRunner().invoke(main, ["merge", str(out)])
    assert result.exit_code == 1 and "2 of 3 parts are not done" in result.output
    said = run(*given, "--shard", "1/2")
    assert "11 pictures explained" in said and "left" not in said
    assert rows(out) == rows(tmp_path / "whole")
    assert "must be such as 2/8" in run(*given, "--shard", "3/2", code=2)


@pytest.mark.usefixtures("plain_graphs")
def test_a_full_disk_loses_nothing(model, tmp_path, rng):
    resource = pytest.importorskip("resource", reason="needs limits of a process")
    photos, out = folder_of(tmp_path / "photos", 6, rng), tmp_path / "out"
    given = ["--images", photos, "--out", out, "--model", model]
    run(*given, "--shard", "1/2")
    before = rows(out)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        said = run(*given, code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "The results cannot be written" in said and "goes on from there" in said
    assert rows(out) == before
    assert not [path for path in out.rglob(".*") if "parquet" in path.name]
    run(*given)
    assert len(rows(out)) == 6 and rows(out)[:4] == before


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("none", "no such folder, file or match of a pattern. Received: "),
        ("*.jpg", "There are no pictures. Received: "),
        ("empty", "There are no pictures. Received: "),
        ("broken", "None of the 1 pictures could be explained"),
    ],
)
def test_without_pictures(model, tmp_path, images, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.png").write_text("no picture")
    out = tmp_path / "out"
    said = run("--images", tmp_path / images, "--out", out, "--model", model, code=1)
    assert message in said
    assert out.exists() == (images == "broken")


def test_wrong_arguments(model, tmp_path, rng):
    photos = folder_of(tmp_path / "photos", 1, rng)
    given = ["--images", photos, "--out", tmp_path / "out"]
    assert "There is no network of this name" in run(*given, "--model", "vgg61", code=1)
    given += ["--model", model]
    assert "multiple of the batch size" in run(*given, "--part-size", 3, code=1)
    assert "from 0 to 4. Received: class 7" in run(*given, "--target", 7, code=1)
    assert "go with --engine ray" in run(*given, "--actors", 2, code=2)
    assert not (tmp_path / "out").exists()
    result = CliRunner().invoke(main, ["merge", str(photos)])
    assert result.exit_code == 1 and "There are no results" in result.output


def test_a_folder_that_cannot_be_read(model, tmp_path, rng, monkeypatch):
    photos = folder_of(tmp_path / "photos", 1, rng)

    def scandir(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", scandir)
    said = run("--images", photos, "--out", tmp_path / "out", "--model", model, code=1)
    assert "Permission denied" in said and str(photos) in said


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs files that may not be read")
def test_a_picture_that_may_not_be_read(model, tmp_path, rng):
    photos, out = folder_of(tmp_path / "photos", 2, rng), tmp_path / "out"
    (photos / "000.png").chmod(0)
    command = [sys.executable, "-c", "from keras_backtrack.cli import main; main()"]
    command += line("--images", photos, "--out", out, "--model", model)
    if os.getuid() == 0:  # Root may read everything, but where it gives that up.
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv, or not to be root")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [Path(row["path"]).name for row in rows(out)] == ["001.png"]
    (failed,) = rows(out, "errors")
    assert failed["path"].endswith("000.png") and "Permission denied" in failed["reason"]


@pytest.mark.usefixtures("plain_graphs")
def test_a_picture_with_an_answer_that_is_no_number(tmp_path, rng):
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(image)
    keras.Model(image, layers.Dense(2, kernel_initializer="ones")(x) * 1e37).save(
        tmp_path / "model.keras"
    )
    photos = folder_of(tmp_path / "photos", 3, rng)
    Image.new("RGB", (8, 8), 0).save(photos / "dark.png")
    out = tmp_path / "out"
    run("--images", photos, "--out", out, "--model", tmp_path / "model.keras")
    assert [Path(row["path"]).name for row in rows(out)] == ["dark.png"]
    assert all("must be finite" in row["reason"] for row in rows(out, "errors"))
    assert len(rows(out, "errors")) == 3


_KILLED = -signal.SIGKILL if hasattr(signal, "SIGKILL") else 1


def killed_again_and_again(given, out, kills, seed):
    """Starts a run until it ends by itself, and kills it so many times before."""
    rng, done = random.Random(seed), 0
    command = [sys.executable, "-c", "from keras_backtrack.cli import main; main()"]
    while True:
        before = len(list(out.glob("explanations/part*")))
        process = subprocess.Popen([*command, *line(*given)], stderr=subprocess.DEVNULL)
        if done < kills:
            # At any moment: of the start now and then, else while parts are written.
            limit = time.monotonic() + (rng.uniform(0, 8) if done % 4 == 3 else 120)
            while len(list(out.glob("explanations/part*"))) == before:
                if time.monotonic() > limit or process.poll() is not None:
                    break
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
        code = process.wait()
        if code == 0:
            return done
        assert code == _KILLED
        done += 1


@pytest.mark.parametrize(
    ("count", "kills"), [(20, 1), pytest.param(200, 20, marks=pytest.mark.slow)]
)
def test_a_killed_run_goes_on(count, kills, model, tmp_path, rng):
    photos = folder_of(tmp_path / "photos", count, rng, (300, 400))
    (photos / "text.png").write_text("no picture")
    out = tmp_path / "out"
    given = ["--images", photos, "--model", model, "--out", out, "--part-size", 2]
    assert killed_again_and_again(given, out, kills, seed=1) >= kills
    given[5] = tmp_path / "whole"
    run(*given)
    assert rows(out) == rows(tmp_path / "whole")
    assert len({row["path"] for row in rows(out)}) == len(rows(out)) == count
    assert len(rows(out, "errors")) == 1
    assert not [path for path in out.rglob(".*") if "parquet" in path.name]


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def mutated(number, rng):
    """A file: its name's ending, its bytes, and the size it must be explained at, if any."""
    image = noise(rng, 40, 70)
    whole = saved(image, "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = Image.fromarray(rng.integers(0, 65536, (40, 70)).astype(np.uint16))
    flipped = bytearray(whole)
    for place in rng.integers(0, len(whole), 10):
        flipped[place] = rng.integers(0, 256)
    kinds = [
        (".jpg", whole[: rng.integers(1, len(whole) - 2)], None),
        (".jpg", b"", False),
        (".jpg", b"\0" * 1000, False),
        (".jpg", saved(image, "PNG"), (40, 70)),
        (".png", whole, (40, 70)),
        (".jpg", bytes(flipped), None),
        (".png", bomb(60_000, 60_000), False),
        (".png", bomb(3_000, 3_000), False),
        (".jpg", saved(image.convert("CMYK"), "JPEG"), (40, 70)),
        (".png", saved(grey, "PNG"), (40, 70)),
        (".gif", saved(image, "GIF", save_all=True, append_images=[noise(rng)] * 3), (40, 70)),
        (".jpg", saved(image, "JPEG", exif=exif), (70, 40)),
        (".png", saved(image.convert("P"), "PNG", transparency=0), (40, 70)),
        (".png", saved(image.convert("LA"), "PNG"), (40, 70)),
        (".tif", saved(image.convert("F"), "TIFF"), False),
        (".bmp", saved(image.convert("1"), "BMP"), (40, 70)),
        (".png", saved(noise(rng, 1, 1), "PNG"), (1, 1)),
        (".png", saved(noise(rng, 1, 3000), "PNG"), (1, 3000)),
        (".webp", saved(image, "WEBP")[: rng.integers(1, 1000)], None),
        (".tif", saved(image, "TIFF")[: rng.integers(8, 8000)], None),
        (".png", saved(image, "PNG")[: rng.integers(8, 8000)], None),
    ]
    return kinds[number % len(kinds)]


@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged files.
@pytest.mark.parametrize("count", [63, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_file_stops_a_run(count, model, tmp_path, rng):
    photos, sizes = tmp_path / "photos", {}
    photos.mkdir()
    for number in range(count):
        ending, content, size = mutated(number, rng)
        name = f"{number:04}{ending}"
        (photos / name).write_bytes(content)
        sizes[name] = size
    (photos / "folder.jpg").mkdir()
    sizes["folder.jpg"] = False
    if hasattr(os, "mkfifo"):
        os.mkfifo(photos / "pipe.jpg")
        (photos / "nowhere.jpg").symlink_to(photos / "nothing")
        sizes |= dict.fromkeys(["pipe.jpg", "nowhere.jpg"], False)
    if hasattr(os, "getuid") and os.getuid():  # Root may read everything.
        (photos / "0003.jpg").chmod(0)
        sizes["0003.jpg"] = False
    out = tmp_path / "out"
    given = ["--images", photos, "--out", out, "--model", model]
    run(*given, "--batch-size", 16, "--part-size", 64)
    found = {Path(row["path"]).name: row for row in rows(out)}
    failed = {Path(row["path"]).name: row["reason"] for row in rows(out, "errors")}
    assert len(rows(out)) + len(rows(out, "errors")) == len(sizes)
    assert found.keys() | failed.keys() == sizes.keys()
    for name, size in sizes.items():
        if size is not None:
            assert (name in found) == bool(size), failed.get(name)
        if size:
            assert (found[name]["height"], found[name]["width"]) == size
    assert "exceeds limit" in failed["0006.png"]
