"""Scenes whose evidence was planted: explanations lie on it."""

import json

import numpy as np
import pytest
from coloured import run

from benchmarks.maps.planted import drawing, measure, networks, scenes
from keras_backtrack import BacktrackExplainer

# The dearest to learn are for `make test-slow`.
_QUICK = "colour"


@pytest.mark.parametrize("kind", scenes.KINDS)
def test_scenes(kind):
    """Evidence is drawn, everything of a seed is the same again, and classes are even."""
    made, again = scenes.make(kind, 12, 3), scenes.make(kind, 12, 3)
    for a, b in zip(made, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert made.pictures.shape == (12, 48, 48, 3) and made.pictures.dtype == np.uint8
    assert len(set(np.bincount(made.classes))) == 1
    scored = scenes.KINDS[kind].is_scored[made.classes]
    area = made.evidence[scored].mean(axis=(1, 2))
    assert (area > 0.01).all() and (area < 0.35).all()
    # It is what stands out from the ground.
    pairs = list(zip(made.pictures[scored], made.evidence[scored], strict=True))
    assert np.mean([p[e].mean() > p[~e].mean() for p, e in pairs]) > 0.6


@pytest.mark.parametrize("form", drawing.FORMS)
def test_forms_fill_their_square(form):
    drawn = drawing.form_of(form, 13)
    assert drawn.any(axis=0).sum() >= 11 and drawn.any(axis=1).sum() >= 11


def test_things_do_not_overlap(rng):
    canvas = drawing.Canvas(rng)
    places = [canvas.place(10) for _ in range(4)]
    assert np.sum([place.mask for place in places], axis=0).max() == 1
    with pytest.raises(drawing.Crowded):
        for _ in range(20):
            canvas.place(10)


def test_scores_of_maps():
    evidence = np.zeros((3, 20, 20), bool)
    evidence[:, 5:9, 5:9] = True
    maps = np.zeros((3, 20, 20), np.float32)
    maps[0, 6, 6], maps[1, 10, 6], maps[1, 18, 18] = 1, 3, 1
    found = measure.scores(maps, evidence)
    np.testing.assert_array_equal(found["heaviest"], [1, 1, 0])
    np.testing.assert_array_equal(found["heaviest, strict"], [1, 0, 0])
    np.testing.assert_allclose(found["mass"], [1, 0.75, 0])
    np.testing.assert_array_equal(found["empty"], [0, 0, 1])


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind == _QUICK else pytest.mark.slow) for kind in scenes.KINDS],
)
def test_the_heaviest_place_is_on_the_evidence(kind):
    """Of the default explanation, in its attention and in its pixels."""
    subject = networks.trained(kind)
    found, accuracy = measure.right_scenes(subject, kind, 240)
    assert accuracy > 0.9
    scored = scenes.KINDS[kind].is_scored[found.classes]
    found = scenes.Scenes(*(values[scored] for values in found))
    e = BacktrackExplainer(subject.whole).explain(
        subject.prepared(found.pictures), found.classes, batch_size=64
    )
    for maps in (e.attention(), e.mass_map()):
        hits = measure.scores(maps, found.evidence)["heaviest"]
        assert len(hits) >= 70 and hits.mean() >= 0.95


def test_planted_command(monkeypatch, tmp_path):
    """Trained once more, on less."""
    trained = networks.trained
    monkeypatch.setattr(measure, "trained", lambda kind, seed: trained(kind, 1200, 8, seed))
    arguments = [_QUICK, "--scenes", 30, "--out", tmp_path]
    methods = ("posterior", "CAM", "centred", "tf-explain")
    run("planted", *arguments, *(part for name in methods for part in ("--method", name)))
    (row,) = json.loads((tmp_path / "planted.json").read_text())["rows"]
    assert row["kind"] == _QUICK and row["accuracy"] > 0.9 and 0.05 < row["area"] < 0.2
    found = row["methods"]
    assert "error" in found.pop("Grad-CAM (tf-explain)")
    assert found["CAM"]["heaviest"]["mean"] > found["centred Gaussian"]["heaviest"]["mean"] + 0.5
    assert set(found["posterior"]["by class"]) == {"red", "green", "blue", "none"}
    assert "| posterior |" in (tmp_path / "planted.md").read_text()
