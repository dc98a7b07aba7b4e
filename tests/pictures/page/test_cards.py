"""What a page is told: every number is the library's own."""

import json
import re

import numpy as np
import pytest
from pages import explained, network, of_picture, unpacked, walker

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.pictures.page import Picture, entry, page
from keras_backtrack.pictures.photos import Frame


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return network()


@pytest.fixture(scope="module")
def e(model):
    return explained(model)


def test_every_node_has_the_numbers_of_the_explanation(e, model):
    details = unpacked(of_picture(e).details)
    names = [layer["nodes"] for layer in details["layers"]]
    # What leaves nodes where they are is not shown by itself.
    assert names == ["image", "relu", "depthwise", "add", "pool", "pad", "conv", "mean", "classes"]
    assert [layer["name"] for layer in details["layers"]][1] == "stem"
    outputs = keras.Model(model.inputs, [model.get_layer(n).output for n in names[1:]])
    activations = [e._images[0][:1], *outputs([e._images[0][:1]])]
    for i in range(2):
        table = details["decisions"][i]["nodes"]
        for place, name in enumerate(names):
            rows = slice(*table["start"][place : place + 2])
            nodes = e.nodes(name)
            unit = np.ravel_multi_index(tuple(nodes[i].T), nodes.shape)
            # The heaviest 300 are shown; whoever is on their way up comes behind.
            order = np.argsort(-nodes.mass[i], kind="stable")[:300]
            rows = slice(rows.start, rows.start + len(order))
            np.testing.assert_array_equal(table["unit"][rows], unit[order])
            np.testing.assert_array_equal(table["mass"][rows], nodes.mass[i][order])
            np.testing.assert_array_equal(table["sign"][rows], nodes.sign[i][order])
            values = np.asarray(activations[place]).reshape(-1)[unit[order]]
            np.testing.assert_allclose(table["activation"][rows], values, atol=1e-5)
            about = details["decisions"][i]["layers"][place]
            assert about["nodes"] == len(unit)
            assert about["mass"] == pytest.approx(nodes.mass[i].sum(), abs=1e-6)
            channel, mass, count = about["channels"][0]
            own = nodes[i][:, -1] == channel
            assert count == own.sum() and mass == pytest.approx(nodes.mass[i][own].sum(), abs=1e-6)


def test_the_difference_of_two_classes(model):
    x = np.random.default_rng(0).integers(0, 256, (1, 24, 20, 3), np.uint8)
    explainer = walker(model)
    es = [explainer.explain(x, [[1, 2]]), explainer.explain(x, 1, versus=2)]
    frame = Frame.squeeze((24, 20), (24, 20))
    found = entry(Picture("x", x[0], frame, es, ["a", "b, bee", "c"]), 1)
    labels = [decision["label"] for decision in found.listed["decisions"]]
    assert labels == ["b", "c", "b rather than c"]
    assert [decision["versus"] for decision in found.listed["decisions"]] == [None, None, 2]
    logits = found.listed["decisions"][2]["logits"]
    np.testing.assert_allclose(logits, es[1].logits[0])
    table = unpacked(found.details)["decisions"][2]["nodes"]
    place = [layer["nodes"] for layer in found.details["layers"]].index("mean")
    rows = slice(*table["start"][place : place + 2])
    # Where the walk of a difference starts its nodes have no parent; below they do.
    assert len(table["unit"][rows]) and (table["parent"][rows] == -1).all()
    assert (table["parent"][: rows.start] >= 0).all()


def test_explanations_of_data_sets_have_no_picture(model):
    import tensorflow as tf

    x = np.random.default_rng(0).random((2, 24, 20, 3), np.float32)
    e = BacktrackExplainer(model).explain(tf.data.Dataset.from_tensor_slices(x).batch(2))
    assert e._repr_html_() is None and e._repr_png_() is None
    with pytest.raises(ValueError, match="pictures of a data set are not kept"):
        e.to_html()


def test_names_cannot_break_out(e, tmp_path):
    frame = Frame.squeeze((48, 40), (24, 20))
    evil = '</script><script>alert("x")</script>'
    picture = Picture(evil, np.zeros((48, 40, 3), np.uint8), frame, [e[:2]])
    text = page([entry(picture, 1)], evil)
    assert evil not in text
    block = re.search('<script type="application/json" class="listed">(.*?)</script>', text, re.S)
    assert json.loads(block[1])["pictures"][0]["name"] == evil


def test_bad_input(e, tmp_path):
    with pytest.raises(ValueError, match="`images` must have one entry.*Received: 3"):
        e.to_html(np.zeros((3, 24, 20, 3)))
    with pytest.raises(ValueError, match="`files` must have one entry.*Received: 1"):
        e.to_html(files=["a.jpg"])
    with pytest.raises(ValueError, match="height × width × channels.*Received: shape"):
        e.to_html([np.zeros((24, 20)), np.zeros((24, 20))])
    with pytest.raises(ValueError, match="saved as .*.html. Received"):
        e.save(tmp_path / "x.txt")
    e.save(tmp_path / "x.html")
    assert (tmp_path / "x.html").stat().st_size < 500_000
