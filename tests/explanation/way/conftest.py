"""What all tests of the way down share."""

import pytest
from pages import explained, network

from keras_backtrack.graph.compat import keras


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return network()


@pytest.fixture(scope="module")
def e(model):
    return explained(model)
