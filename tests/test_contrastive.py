"""What speaks for a decision, less what speaks against it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import assert_equals_reference, images, layers, networks, randomise_all

from keras_backtrack import BacktrackExplainer
from keras_backtrack.compat import keras


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
