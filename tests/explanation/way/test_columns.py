"""The way down as columns."""

import numpy as np
import pytest
from pages import unpacked

from keras_backtrack import BacktrackExplainer
from keras_backtrack.pictures.page import entry, pictures_of


def test_posterior_shows_what_it_kept(model):
    x = np.random.default_rng(0).random((1, 24, 20, 3), np.float32)
    e = BacktrackExplainer(model, method="posterior", layers=["pool"]).explain(x)
    details = unpacked(entry(pictures_of(e, x, None, None, None)[0], 1).details)
    assert details["note"] == (
        "What speaks for the class and what speaks against it was weighed down to conv: what is "
        "ahead there goes on. All paths were followed at once, so no node has a single parent."
    )
    counts = {
        layer["nodes"]: about["nodes"]
        for layer, about in zip(details["layers"], details["decisions"][0]["layers"], strict=True)
    }
    assert counts["pool"] == len(e.nodes("pool")[0]) and counts["image"] and counts["add"] == 0


WEIGHED = "What speaks for the class and what speaks against it was weighed down to conv: "
ALL = "All paths were followed at once, so no node has a single parent."


@pytest.mark.parametrize(
    ("settings", "note", "ways"),
    [
        ({"method": "viterbi", "contrast": False}, "", ["best"] * 9),
        (
            {"method": "viterbi"},
            f"{WEIGHED}what is ahead there goes on. From there the best paths were followed, node "
            "by node.",
            ["best"] * 7 + ["weighed"] * 2,
        ),
        ({"method": "posterior", "contrast": False}, ALL, ["all"] * 9),
        (
            {},
            f"{WEIGHED}what is ahead there goes on. Down to add all paths were followed at once, "
            "below it the best, node by node.",
            ["best"] * 3 + ["all"] * 4 + ["weighed"] * 2,
        ),
        (
            {"contrast": False},
            "Down to add all paths were followed at once, below it the best, node by node.",
            ["best"] * 3 + ["all"] * 6,
        ),
    ],
)
def test_how_decisions_came_to_each_layer(model, settings, note, ways):
    x = np.random.default_rng(0).random((1, 24, 20, 3), np.float32)
    e = BacktrackExplainer(model, **settings).explain(x)
    way = e.way_down(1000)
    assert (way.note, [layer["way"] for layer in way.layers]) == (note, ways)
    begins = ["conv"] if settings == {"method": "viterbi"} else []
    begun = [layer["name"] for layer in way.layers if layer["begun"]]
    assert begun == ([e.fine_layer] if e.fine_layer else begins)
