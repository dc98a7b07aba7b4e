"""The command line, as a user meets it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from networks import layers
from PIL import Image

from keras_backtrack import BacktrackExplainer
from keras_backtrack.cli import main
from keras_backtrack.graph.compat import keras
from keras_backtrack.models.networks import load_network
from keras_backtrack.pictures.photos import read_photo


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
    assert result.exit_code == 2 and "must be another class" in result.output


def test_a_network_of_one_unit(model_of_one_unit, photo, tmp_path):
    model, path = model_of_one_unit
    is_sigmoid = model.layers[-1].activation.__name__ == "sigmoid"
    out = tmp_path / "out"

    def explained(*more):
        result = run(photo, "--model", path, "--out", out, *more)
        assert result.exit_code == 0, result.output
        return json.loads((out / "photo.json").read_text()), result.output

    record, said = explained()
    output = record["predictions"]
    if is_sigmoid:
        assert {each["name"] for each in output} == {"yes", "no"}
        assert sum(each["probability"] for each in output) == pytest.approx(1)
        assert record["target_name"] == record["label"] == output[0]["name"]
        assert record["score"] == pytest.approx(output[0]["probability"], abs=1e-5)
        for target, name in enumerate(("no", "yes")):
            for given in (name, target):
                record, said = explained("--target", given)
                assert (record["target"], record["label"]) == (target, name)
                assert record["side"] == (1 if target else -1) and f"'{name}'" in said
        result = run(photo, "--model", path, "--out", out, "--target", "yes", "--versus", "no")
        assert result.exit_code == 2 and "no other unit to compare" in result.output
        result = run(photo, "--model", path, "--out", out, "--target", "yes", "--side", "high")
        assert result.exit_code == 2 and "are the sides" in " ".join(result.output.split())
    else:
        assert output == [{"class": 0, "name": "output", "value": record["score"]}]
        assert record["side"] == (1 if record["score"] > 0 else -1)
        for side, label in (("high", "output"), ("low", "output, why low")):
            record, said = explained("--side", side)
            assert record["label"] == label and f"'{label}'" in said


def test_the_defaults_are_the_librarys(model, photo, tmp_path):
    explained, network = tmp_path / "out", load_network(model)
    assert run(photo, "--model", model, "--out", explained).exit_code == 0
    record = json.loads((explained / "photo.json").read_text())
    picture = read_photo(photo)
    frame = network.frame(picture.shape[:2], network.size)
    e = BacktrackExplainer(network.model).explain(network.preprocess(frame.cut(picture)[None]))
    (want,) = e.decisions(frames=[frame])
    np.testing.assert_array_equal(record["pixels"], want.pixels)
    np.testing.assert_allclose(record["mass"], want.mass, atol=1e-6)
    np.testing.assert_array_equal(record["boxes"], want.boxes)


@pytest.mark.parametrize("command", ["explain", "report", "run"])
def test_help_says_what_is_asked(command):
    said = " ".join(CliRunner().invoke(main, [command, "--help"]).output.split())
    assert "--contrast on|off|NUMBER" in said and "[default: on]" in said
    assert "[default: backtrack]" in said and "contrastive" not in said


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
        (["--method", "contrastive"], "is method='posterior', contrast=1 now"),
        (["--method", "best"], "must be one of 'backtrack', 'viterbi' or 'posterior'"),
        (["--contrast", "yes"], "'on', 'off', or a number from 0 to 1. Received: 'yes'"),
        (["--contrast", "1.5"], "'on', 'off', or a number from 0 to 1. Received: '1.5'"),
        (["--contrast", "nan"], "'on', 'off', or a number from 0 to 1. Received: 'nan'"),
        (["--side", "left"], "'high', 'low'"),
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
