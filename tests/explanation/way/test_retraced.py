"""The steps of a walk, taken again."""

import numpy as np
from pages import network, of_picture, unpacked

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


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
