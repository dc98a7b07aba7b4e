"""Scores of maps against masks."""

import numpy as np

from benchmarks.maps import scoring
from keras_backtrack import metrics


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
