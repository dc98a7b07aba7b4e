"""What a page is told: every number is the library's own."""

import json
import re

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.explanation.way.receptive_fields import receptive_fields
from keras_backtrack.graph.compat import keras
from keras_backtrack.pictures.page import Picture, entry, page, pictures_of
from keras_backtrack.pictures.photos import Frame


def network():
    image = keras.Input((24, 20, 3), name="image")
    x = layers.Conv2D(6, 3, strides=2, padding="same", name="stem")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = skip = layers.ReLU(name="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="add")([x, skip])
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(layers.ZeroPadding2D(1, name="pad")(x))
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, layers.Dense(5, activation="softmax", name="classes")(x))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return network()


@pytest.fixture(scope="module")
def e(model):
    x = np.random.default_rng(0).random((2, 24, 20, 3), np.float32)
    return BacktrackExplainer(model, 8, 2, 3).explain(x, [[0, 3]] * 2)


def unpacked(value):
    """Arrays of a page as NumPy's."""
    import base64

    if isinstance(value, dict):
        return {k: unpacked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unpacked(v) for v in value]
    if isinstance(value, str) and re.match("(f4|i4|i1):", value):
        return np.frombuffer(base64.b64decode(value[3:]), f"<{value[:2]}")
    return value


def of_picture(e, **kwargs):
    explained = np.zeros((2, 24, 20, 3), np.uint8)
    return entry(pictures_of(e, explained, None, None, None)[0], 1)


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


def test_steps_taken_again_bring_every_node_its_mass(e):
    walk = e[:2]._retraced()
    assert walk.is_current
    for i in range(2):
        nodes = walk.nodes[i]
        arrived = {number: np.zeros(len(held.unit)) for number, held in nodes.items()}
        for edges in walk.tracks.edges(walk.tensors, nodes):
            assert (edges.child >= 0).all()
            np.add.at(arrived[edges.below], edges.child, edges.mass)
        for number, held in nodes.items():
            if number != walk.graph.output:
                np.testing.assert_allclose(arrived[number], held.mass, atol=1e-6)


def test_paths_lead_up_to_the_class(e):
    details = unpacked(of_picture(e).details)
    for decision in details["decisions"]:
        table = decision["nodes"]
        top = len(table["unit"]) - 1
        assert (table["parent"][:top] > np.arange(top)).all() and table["parent"][top] == -1
        assert (table["passed"][:top] <= table["mass"][:top] + 1e-6).all()
        # A Dense unit's mass is shared in proportion to W·A.
        children = slice(*table["first"][top : top + 2])
        assert np.all(np.diff(table["child_mass"][children]) <= 0)


def test_contributions_of_a_dense_unit_are_its_products(e, model):
    details = unpacked(of_picture(e).details)
    table = details["decisions"][1]["nodes"]
    top = len(table["unit"]) - 1
    children = slice(*table["first"][top : top + 2])
    mean = keras.Model(model.inputs, model.get_layer("mean").output)([e._images[0][:1]])
    products = np.asarray(mean)[0] * np.asarray(model.get_layer("classes").kernel)[:, 3]
    best = np.sort(products[products > 0])[::-1]
    np.testing.assert_allclose(
        table["child_mass"][children], (best / best.sum())[:4], rtol=1e-4, atol=1e-6
    )
    assert products[table["child_unit"][children][0]] == pytest.approx(best[0], rel=1e-4)


def test_receptive_fields_are_what_changes_a_cell(model, e):
    """Against the network itself: a cell changes with a row just where its field says it may."""
    walk = e[:1]._retraced()
    fields = receptive_fields(walk.graph, walk.tracks.rules, walk.tensors, walk.picture)
    numbers = {name: number for number, name in walk.graph.names.items()}
    x = e._images[0][:1]
    names = ("stem", "add", "pool", "pad", "conv")
    reader = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    for axis in (1, 2):
        size = x.shape[axis]
        changed = np.moveaxis(np.repeat(x, 2 * size, axis=0), axis, 1)
        for place in range(size):
            changed[place, place], changed[size + place, place] = -50, 50
        before, after = reader([x]), reader([np.moveaxis(changed, 1, axis)])
        for name, one, many in zip(names, before, after, strict=True):
            difference = np.abs(np.asarray(many) - np.asarray(one))
            other = tuple(a for a in (1, 2, 3) if a != axis)
            changes = difference.max(axis=other).reshape(2, size, -1).max(axis=0) > 1e-4
            for cell, (first, last) in enumerate(fields[numbers[name]][axis - 1]):
                seen = np.flatnonzero(changes[:, cell])
                assert [first, last] == ([seen[0], seen[-1] + 1] if len(seen) else [0, 0])
    assert numbers["mean"] not in fields


def test_light_nodes_are_left_out_but_for_the_way_up(e):
    picture = pictures_of(e, np.zeros((2, 24, 20, 3), np.uint8), None, None, None)[0]
    from keras_backtrack.pictures.page.cards import details

    few = unpacked(details(picture, 1))["decisions"][0]["nodes"]
    every = unpacked(details(picture, 10**7))["decisions"][0]["nodes"]
    assert len(few["unit"]) < len(every["unit"])
    for layer in range(9):
        rows = slice(*few["start"][layer : layer + 2])
        of_all = every["mass"][slice(*every["start"][layer : layer + 2])]
        np.testing.assert_array_equal(few["mass"][rows][:10], of_all[:10])
    assert (few["parent"][:-1] >= 0).all()


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


def test_a_network_that_has_changed_is_told(model):
    keras.utils.set_random_seed(2)
    changing = network()
    x = np.random.default_rng(0).random((1, 24, 20, 3), np.float32)
    e = BacktrackExplainer(changing).explain(x)
    before = of_picture(e).details
    changing.set_weights(model.get_weights())
    after = unpacked(of_picture(e).details)
    assert before["is_current"] and not after["is_current"]
    assert np.isnan(after["decisions"][0]["nodes"]["activation"]).all()
    assert (after["decisions"][0]["nodes"]["parent"] == -1).all()


def test_the_difference_of_two_classes(model):
    x = np.random.default_rng(0).integers(0, 256, (1, 24, 20, 3), np.uint8)
    explainer = BacktrackExplainer(model, 8, 2, 3)
    es = [explainer.explain(x, [[1, 2]]), explainer.explain(x, (1, 2))]
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
