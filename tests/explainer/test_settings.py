"""What an explainer's settings may be."""

import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


@pytest.fixture(scope="module")
def explainer():
    image = keras.Input((6, 5, 3))
    x = layers.Flatten()(layers.Conv2D(2, 3)(image))
    return BacktrackExplainer(keras.Model(image, layers.Dense(4)(x)))


def test_method(explainer):
    with pytest.raises(ValueError, match="'viterbi', 'posterior'.*Received: 'gradient'"):
        BacktrackExplainer(explainer.model, method="gradient")
    with pytest.raises(ValueError, match="needs method='viterbi'.*Received: method='posterior'"):
        BacktrackExplainer(explainer.model, method="posterior", include_bias=True)
    with pytest.raises(ValueError, match="no such layer.*Received: 'conv9'"):
        BacktrackExplainer(explainer.model, layers=["conv9"])


@pytest.mark.parametrize("limit", [{"top_n": 0}, {"channels": -1}, {"positions": 1.5}])
def test_limits(explainer, limit):
    with pytest.raises(ValueError, match="at least 1, or None for all. Received"):
        BacktrackExplainer(explainer.model, **limit)
