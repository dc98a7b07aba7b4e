"""What speaks for a decision, less what speaks against it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import assert_equals_reference, images, layers, networks

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


@pytest.mark.parametrize("examples", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_random_networks(examples, plain_graphs):
    """Node for node at every layer as the plain loops, classes alone and told from another."""

    @settings(max_examples=examples)
    @given(networks(), st.booleans(), st.integers(0, 2**31))
    def run(network, is_told, number):
        (model, exact), rng = network, np.random.default_rng(number)
        x = images(model, 2, number, exact)
        pairs = np.array([[rng.permutation(5)[:2] for _ in range(2)] for _ in range(2)])
        versus = pairs[..., 1] if is_told else None
        assert_equals_reference(model, x, pairs[..., 0], None, versus, against=True)
        # Or the networks of a whole run would stay in memory.
        keras.backend.clear_session()

    run()


def crosses():
    """Upright lines on the left, level ones on the right; every upper feature sees both."""
    image = keras.Input((24, 24, 1))
    x = layers.Conv2D(2, 3, padding="same", activation="relu", use_bias=False)(image)
    x = layers.Conv2D(2, 1, activation="relu", use_bias=False)(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, use_bias=False)(x))
    upright = np.array([[-1, 2, -1]] * 3, np.float32)
    model.layers[1].set_weights([np.stack([upright, upright.T], axis=-1)[:, :, None]])
    model.layers[2].set_weights([np.array([[[[1.0, 0.8], [0.8, 1.0]]]], np.float32)])
    model.layers[-1].set_weights([np.array([[1.0, -1.0], [-1.0, 1.0]], np.float32)])
    photo = np.zeros((24, 24, 1), np.float32)
    photo[4:20, 5], photo[12, 13:21] = 1, 1
    photo[4:12, 15] = 1
    return model, photo


def test_a_class_is_where_more_speaks_for_it_than_against_it():
    model, photo = crosses()
    shares = {}
    for method in ("posterior", "contrastive"):
        explainer = BacktrackExplainer(model, method=method)
        e = explainer.explain(np.stack([photo] * 2), [0, 1])
        for row in range(2):
            rows, columns = e.pixels[row][:, 0], e.pixels[row][:, 1]
            level = (rows == 12) & (columns > 12)
            shares[method, row] = e.mass[row][level].sum() / e.mass[row].sum()
            np.testing.assert_allclose(e.mass[row].sum() + e.lost[row], 1, atol=1e-5)
    assert shares["posterior", 1] - shares["posterior", 0] < 0.2
    assert shares["contrastive", 1] == 1 and shares["contrastive", 0] == 0
