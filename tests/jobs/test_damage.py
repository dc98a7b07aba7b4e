"""Results that were damaged, names that are no text, figures that cannot be drawn."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from click.testing import CliRunner
from filelock import FileLock
from folders import folder_of, noise, rows, run, small_network
from PIL import Image

from keras_backtrack.cli import main
from keras_backtrack.jobs import output as outputs
from keras_backtrack.jobs.results import Results, ResultsError
from keras_backtrack.pictures import figures

pytestmark = pytest.mark.usefixtures("plain_graphs")
_PART = "part-000000.parquet"


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Pictures, a network, and what came out of them: three parts of explanations."""
    folder = tmp_path_factory.mktemp("job")
    small_network(folder / "model.keras")
    folder_of(folder / "photos", 9, np.random.default_rng(0))
    (folder / "photos" / "0.png").write_text("no picture")
    # As `plain_graphs` does: other graphs may differ in the last bit.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    run(*given(folder), "--out", folder / "out")
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    return folder


def given(folder):
    return ["--images", folder / "photos", "--model", folder / "model.keras"]


@pytest.fixture
def out(job, tmp_path):
    """Results of their own to damage."""
    return shutil.copytree(job / "out", tmp_path / "out")


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def emptied(path):
    path.write_bytes(b"")


def without_middle(path):
    content = path.read_bytes()
    path.write_bytes(content[:100] + content[300:])


def of_another_kind(path):
    path.write_text("no table, and longer than a footer is")


def with_fewer_rows(path):
    pq.write_table(pq.read_table(path, partitioning=None).slice(1), path)


def nothing(path):
    path.unlink()


@pytest.mark.parametrize("table", ["explanations", "errors"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "cannot be read"),
        (emptied, "is empty"),
        (without_middle, ""),
        (of_another_kind, "cannot be read"),
        (with_fewer_rows, "have rows of 3 pictures, not of 4"),
        (nothing, "is missing"),
    ],
)
def test_damaged_parts_are_named_and_made_again(job, out, table, damage, reason):
    before = rows(out), rows(out, "errors")
    assert len(before[0]) == 9 and len(before[1]) == 1
    path = out / table / _PART
    damage(path)
    if path.exists() or table == "errors":
        merged = CliRunner().invoke(main, ["merge", str(out)])
        assert merged.exit_code == 1 and "1 of 3 parts are not done" in merged.output
        assert str(path) in merged.output.replace("\n", "")
    said = run(*given(job), "--out", out)
    if (path.name == _PART and damage is not nothing) or table == "errors":
        assert str(path) in said and reason in said and "are explained again" in said
    assert "9 pictures explained" in said and "1 could not be" in said
    assert (rows(out), rows(out, "errors")) == before
    said = run(*given(job), "--out", out)
    assert "explained again" not in said and " a second" not in said


def written(content):
    return lambda path: path.write_text(content)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *(("job.json", each) for each in (nothing, cut, emptied)),
        *(("job.json", written(text)) for text in ("{}", "[]", '{"pictures": 0}', "\xff")),
        *(("pictures.txt", each) for each in (nothing, cut, emptied)),
    ],
)
def test_what_a_job_is_about_is_told_by_its_parts(job, out, file, damage):
    whole, before = (out / file).read_text(), rows(out)
    damage(out / file)
    if file == "job.json":
        merged = CliRunner().invoke(main, ["merge", str(out)])
        assert merged.exit_code == 1 and "Received: " in merged.output
    said = run(*given(job), "--contrast", 0.5, "--out", out, code=1)
    assert "contrast was True and is 0.5" in said
    said = run("--images", job / "photos" / "00*.png", *given(job)[2:], "--out", out, code=1)
    assert "holds results of other pictures" in said
    said = run(*given(job), "--out", out)
    assert file in said and "written anew" in said
    assert (out / file).read_text() == whole and rows(out) == before
    assert "written anew" not in run(*given(job), "--out", out)


def test_bytes_that_changed_are_found_when_merging(out):
    path = out / "explanations" / _PART
    content = bytearray(path.read_bytes())
    found = pq.read_metadata(path).row_group(0)
    column = next(
        found.column(i)
        for i in range(found.num_columns)
        if found.column(i).path_in_schema.startswith("mass")
    )
    content[column.data_page_offset + column.total_compressed_size - 5] ^= 1
    path.write_bytes(content)
    merged = CliRunner().invoke(main, ["merge", str(out)])
    assert merged.exit_code == 1 and _PART in merged.output
    assert "Delete the file" in " ".join(merged.output.split())


def test_a_file_that_cannot_be_read_is_not_taken_for_damaged(job, out, monkeypatch):
    def denied(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(pq, "read_metadata", denied)
    with pytest.raises(PermissionError):
        Results.read(out).check()
    assert "Permission denied" in run(*given(job), "--out", out, code=1)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_names_that_are_no_lines_and_no_text(job, tmp_path, rng):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    names = [b"two\nlines.png", b"return\r.png", b"\xff\xfe.png", b"\\xff\\xfe.png", b"a b.png"]
    for name in names:
        noise(rng).save(os.fsencode(photos) + b"/" + name, "PNG")
    (photos / "text.png").write_text("no picture")
    os.rename(photos / "text.png", os.fsencode(photos) + b"/text\xff.png")
    model = ["--model", job / "model.keras", "--out", out]
    assert "5 pictures explained" in run("--images", photos, *model)
    found = [row["path_bytes"] or row["path"].encode() for row in rows(out)]
    assert {Path(os.fsdecode(path)).name for path in found} == {*map(os.fsdecode, names)}
    assert rows(out, "errors")[0]["path_bytes"].endswith(b"/text\xff.png")
    # What was begun can be finished.
    (out / "explanations" / _PART).unlink()
    run("--images", out / "pictures.txt", *model)
    assert len(rows(out)) == 5

    def said(*arguments, code=0):
        """What a terminal is told that takes nothing but text."""
        result = CliRunner().invoke(main, [os.fsdecode(each) for each in arguments])
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    said("merge", out)
    page = tmp_path / "page.html"
    assert "5 of 5 pictures" in said("report", out / "explanations.parquet", "--out", page)
    assert '"name":"\\\\xff\\\\xfe.png"' in page.read_text(encoding="utf-8")
    options = ["--model", job / "model.keras", "--out"]
    photo = os.fsencode(photos) + b"/" + names[2]
    assert "\\xff\\xfe.png" in said("explain", photo, *options, tmp_path / "one")
    said("report", photo, *options, page)
    assert "\\xff\\xfe.png</title>" in page.read_text(encoding="utf-8")
    photo = os.fsencode(photos) + b"/text\xff.png"
    assert "not a picture" in said("explain", photo, *options, tmp_path / "one", code=2)


def test_a_figure_that_cannot_be_drawn_stops_nothing(job, tmp_path, rng, monkeypatch):
    photos, out = folder_of(tmp_path / "photos", 3, rng), tmp_path / "out"
    Image.new("RGB", (32, 32)).save(photos / "black.png")
    noise(rng, 3000, 1).save(photos / "strip.png")
    name = "n" * 251 + ".png"  # As long as names may be.
    noise(rng).save(photos / name)
    draw = figures.figure

    def drawn(given):
        if given[0].image.shape[0] == 32:
            raise ValueError("a figure of something odd")
        return draw(given)

    monkeypatch.setattr(figures, "figure", drawn)
    arguments = ["--images", photos, "--model", job / "model.keras", "--out", out, "--figures"]
    for _ in range(2):
        said = run(*arguments)
        assert "6 pictures explained" in said and "1 have no figure" in said
        assert "could not be" not in said and "left" not in said
        assert len(rows(out)) == 6
        ((path, reason),) = [(row["path"], row["reason"]) for row in rows(out, "errors")]
        assert path.endswith("black.png") and "a figure of something odd" in reason
        assert len(list((out / "figures").glob("*.png"))) == 5
    result = CliRunner().invoke(main, ["merge", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    cut(out / "errors" / _PART)
    assert "are explained again" in run(*arguments)


def test_a_decision_without_pixels_has_a_figure(job, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    Image.new("RGB", (32, 32)).save(photos / "black.png")
    noise(np.random.default_rng(0)).save(photos / "noise.png")
    model = ["--model", job / "model.keras", "--out", out]
    run("--images", photos, *model, "--figures")
    assert [bool(row["pixels"]) for row in rows(out)] == [False, True]
    assert len(list((out / "figures").glob("*.png"))) == 2 and not rows(out, "errors")
    command = ["explain", photos / "black.png", *model, "--target", 1, "--versus", 2]
    result = CliRunner().invoke(main, [str(each) for each in command])
    assert result.exit_code == 0 and "0 important pixels" in result.output
    assert {"black.png", "black-versus.png", "black.json"} <= {p.name for p in out.iterdir()}


def test_parquet_says_how_large_the_networks_input_is(job, out, tmp_path):
    assert {(row["input_height"], row["input_width"]) for row in rows(out)} == {(32, 32)}
    page = tmp_path / "page.html"
    part = out / "explanations" / _PART
    arguments = ["report", str(part), "--out", str(page)]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    assert '"size":[32,32]' in page.read_text(encoding="utf-8")
    columns = ["input_height", "input_width"]
    pq.write_table(pq.read_table(part, partitioning=None).drop_columns(columns), part)
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    assert '"size":[224,224]' in page.read_text(encoding="utf-8")


def test_two_runs_of_the_same_do_not_meet(job, out):
    (out / "explanations" / _PART).unlink()
    with FileLock(out / ".lock-1-of-1"):
        said = run(*given(job), "--out", out, code=1)
    assert "Another run is writing" in said and ".lock-1-of-1" in said
    run(*given(job), "--out", out)
    assert len(rows(out)) == 9


def test_a_file_system_without_locks(job, out, monkeypatch):
    """There a file that exists is the lock, and one whose process was killed is none."""

    class NoLock(FileLock):
        def acquire(self, *arguments, **options):
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(outputs, "FileLock", NoLock)
    (out / "explanations" / _PART).unlink()
    lock = out / ".lock-1-of-1.soft"
    code = f"import filelock, os; lock = filelock.SoftFileLock({str(lock)!r}); lock.acquire();"
    other = subprocess.Popen(
        [sys.executable, "-c", code + "print('locked', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout.readline() == b"locked\n"
    assert "Another run is writing" in run(*given(job), "--out", out, code=1)
    other.kill()
    other.communicate()
    assert lock.exists()
    run(*given(job), "--out", out)
    assert len(rows(out)) == 9 and not lock.exists()


def test_a_job_that_cannot_be_read(tmp_path):
    with pytest.raises(ResultsError, match="There are no results .*Received: "):
        Results.read(tmp_path)
    (tmp_path / "job.json").write_text(json.dumps({"pictures": 1, "settings": {"part_size": "4"}}))
    with pytest.raises(ResultsError, match=r"job.json is damaged. Start its run .*Received: "):
        Results.read(tmp_path)
