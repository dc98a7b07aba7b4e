"""The way down as columns."""

import numpy as np
import pytest
from networks import layers
from pages import unpacked

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
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


def test_maps_with_channels_first_are_of_rows_and_columns(rng):
    """The way down is that of the same network with channels last."""

    def network(data_format, shape):
        image = keras.Input(shape, name="image")
        settings = {"data_format": data_format, "padding": "same"}
        x = layers.Conv2D(4, 3, activation="relu", name="conv", **settings)(image)
        x = layers.MaxPooling2D(name="pool", data_format=data_format)(x)
        x = layers.Activation("relu", name="relu")(layers.Conv2D(3, 3, name="next", **settings)(x))
        x = layers.GlobalAveragePooling2D(data_format=data_format, name="mean")(x)
        return keras.Model(image, layers.Dense(3, name="head")(x))

    first, last = network("channels_first", (3, 8, 6)), network("channels_last", (8, 6, 3))
    first.set_weights(last.get_weights())
    x = rng.normal(size=(1, 8, 6, 3)).astype("float32")
    own, same = (
        BacktrackExplainer(model, method="viterbi", contrast=False).explain(given).way_down(1000)
        for model, given in ((first, np.moveaxis(x, -1, 1)), (last, x))
    )
    for name in ("image", "relu"):
        (i,) = (i for i, layer in enumerate(own.layers) if layer["nodes"].split("/")[0] == name)
        (j,) = (j for j, layer in enumerate(same.layers) if layer["nodes"] == name)
        assert own.layers[i]["shape"] == same.layers[j]["shape"]
        mine, theirs = (
            {
                column: way.nodes[0][column][slice(*way.nodes[0]["start"][[at, at + 1]])]
                for column in ("unit", "mass", "activation")
            }
            for way, at in ((own, i), (same, j))
        )
        orders = [np.argsort(found["unit"]) for found in (mine, theirs)]
        for column in mine:
            np.testing.assert_allclose(
                mine[column][orders[0]], theirs[column][orders[1]], rtol=1e-4, atol=1e-6
            )
        for field, want in zip(own.layers[i]["field"], same.layers[j]["field"], strict=True):
            np.testing.assert_array_equal(field, want)
        channels = [way.summaries[0][at]["channels"] for way, at in ((own, i), (same, j))]
        np.testing.assert_allclose(*channels, rtol=1e-4)
