"""The nodes that are shown, and what ties them to one another."""

import numpy as np
import pytest
from pages import of_picture, unpacked

from keras_backtrack.graph.compat import keras
from keras_backtrack.pictures.page import pictures_of


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
