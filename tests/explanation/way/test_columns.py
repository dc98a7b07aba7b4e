"""The way down as columns."""

import numpy as np
from pages import unpacked

from keras_backtrack import BacktrackExplainer
from keras_backtrack.pictures.page import entry, pictures_of


def test_posterior_shows_what_it_kept(model):
    x = np.random.default_rng(0).random((1, 24, 20, 3), np.float32)
    e = BacktrackExplainer(model, method="posterior", layers=["pool"]).explain(x)
    details = unpacked(entry(pictures_of(e, x, None, None, None)[0], 1).details)
    assert not details["is_walk"]
    counts = {
        layer["nodes"]: about["nodes"]
        for layer, about in zip(details["layers"], details["decisions"][0]["layers"], strict=True)
    }
    assert counts["pool"] == len(e.nodes("pool")[0]) and counts["image"] and counts["add"] == 0
