"""The steps of a walk, taken again."""

import numpy as np
import pytest
from networks import layers
from pages import network, of_picture, unpacked, walker

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


def test_steps_taken_again_bring_every_node_its_mass(e):
    walk = e[:2]._retraced()
    assert walk.is_current
    assert_mass_arrives(walk, {walk.graph.output})


def assert_mass_arrives(walk, begun):
    for nodes in walk.nodes:
        arrived = {number: np.zeros(len(held.unit)) for number, held in nodes.items()}
        for edges in walk.tracks.edges(walk.tensors, nodes):
            assert (edges.child >= 0).all()
            np.add.at(arrived[edges.below], edges.child, edges.mass)
        for number, held in nodes.items():
            if number not in begun:
                np.testing.assert_allclose(arrived[number], held.mass, atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"contrast": False}, {"method": "viterbi"}])
def test_a_walk_that_begins_further_down(model, settings):
    x = np.random.default_rng(0).random((1, 24, 20, 3), np.float32)
    e = BacktrackExplainer(model, 8, 2, 3, **settings).explain(x, [[1, 2]])
    walk = e._retraced()
    assert walk.is_current
    above = {walk.graph.output, *walk.tracks.paths.begins}
    for call in walk.graph.calls:
        if above.intersection(call.inputs):
            above.update(call.outputs)
    assert_mass_arrives(walk, above)


@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
@pytest.mark.parametrize(
    "asked", [{"targets": 0}, {"targets": 1}, {}, {"side": "low"}], ids=lambda asked: str(asked)
)
@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_a_network_of_one_unit_is_known_again(method, asked, activation):
    if activation is None and "targets" in asked:
        return
    image = keras.Input((12, 10, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(1, activation=activation)(x))
    x = np.random.default_rng(0).random((2, 12, 10, 3), np.float32)
    e = BacktrackExplainer(model, method=method).explain(x, **asked)
    assert e[1]._retraced().is_current
    model.set_weights([2 * weight for weight in model.get_weights()])
    assert not e[1]._retraced().is_current


def test_a_map_of_classes_is_known_again():
    image = keras.Input((12, 10, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    model = keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(x))
    x = np.random.default_rng(0).random((1, 12, 10, 3), np.float32)
    mask = np.zeros((12, 10, 2), bool)
    mask[2:5, 3:7, 1] = True
    explainer = BacktrackExplainer(model)
    predicted = int(model(x).numpy().mean(axis=(0, 1, 2)).argmax())
    found = [explainer.explain(x, targets) for targets in (None, predicted, mask)]
    assert all(e._retraced().is_current for e in found)
    head = model.layers[-1]
    head.set_weights([3 * head.get_weights()[0], 1 + head.get_weights()[1]])
    assert not any(e._retraced().is_current for e in found[:2])


def test_a_network_that_has_changed_is_told(model):
    keras.utils.set_random_seed(2)
    changing = network()
    x = np.random.default_rng(0).random((1, 24, 20, 3), np.float32)
    e = walker(changing).explain(x)
    before = of_picture(e).details
    changing.set_weights(model.get_weights())
    after = unpacked(of_picture(e).details)
    assert before["is_current"] and not after["is_current"]
    assert np.isnan(after["decisions"][0]["nodes"]["activation"]).all()
    assert (after["decisions"][0]["nodes"]["parent"] == -1).all()
