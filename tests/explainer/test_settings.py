"""What an explainer's settings may be."""

import numpy as np
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
    assert (explainer.method, explainer.contrast) == ("backtrack", 0.25)
    with pytest.raises(ValueError, match="'viterbi' or 'posterior'.*Received: 'gradient'"):
        BacktrackExplainer(explainer.model, method="gradient")
    with pytest.raises(ValueError, match="needs method='viterbi'.*Received: method='posterior'"):
        BacktrackExplainer(explainer.model, method="posterior", include_bias=True)
    with pytest.raises(ValueError, match="method='posterior', contrast=1 now.*'contrastive'"):
        BacktrackExplainer(explainer.model, method="contrastive")
    with pytest.raises(ValueError, match="no such layer.*Received: 'conv9'"):
        BacktrackExplainer(explainer.model, layers=["conv9"])


@pytest.mark.parametrize(("contrast", "bar"), [(True, 0.25), (False, None), (0, 0), (1, 1)])
def test_contrast(explainer, contrast, bar):
    asked = BacktrackExplainer(explainer.model, contrast=contrast)
    assert asked.contrast == bar and f"contrast={asked.contrast or False}" in repr(asked)
    e = asked.explain(np.ones((1, 6, 5, 3)))
    assert e.contrast == bar and e.method == "backtrack"


@pytest.mark.parametrize("contrast", ["on", 1.5, -0.1, float("nan"), [1]])
def test_what_contrast_is_not(explainer, contrast):
    with pytest.raises(ValueError, match="`contrast` must be True, False, or a number.*Received"):
        BacktrackExplainer(explainer.model, contrast=contrast)


def test_printed_biases_are_the_papers(explainer):
    for settings in (
        {"contrast": False},
        {"method": "viterbi"},
        {"method": "viterbi", "contrast": 0},
    ):
        with pytest.raises(ValueError, match="needs method='viterbi', contrast=False. Received"):
            BacktrackExplainer(explainer.model, include_bias=True, **settings)
    BacktrackExplainer(explainer.model, method="viterbi", contrast=False, include_bias=True)


@pytest.mark.parametrize("limit", [{"top_n": 0}, {"channels": -1}, {"positions": 1.5}])
def test_limits(explainer, limit):
    with pytest.raises(ValueError, match="at least 1, or None for all. Received"):
        BacktrackExplainer(explainer.model, **limit)
