"""Constants that operations put beside what they move: mass that comes there is lost."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import KERAS_3, keras

pytestmark = pytest.mark.usefixtures("plain_graphs")
pad = keras.ops.pad if KERAS_3 else tf.pad
_AROUND = [[0, 0], [1, 1], [0, 1], [0, 0]]


@pytest.mark.parametrize("method", ["viterbi", "posterior"])
def test_what_padding_contributes_is_lost(method):
    image = keras.Input((2, 2, 1))
    x = layers.Flatten()(pad(image, _AROUND, constant_values=3))
    model = keras.Model(image, layers.Dense(1, use_bias=False, kernel_initializer="ones")(x))
    explainer = BacktrackExplainer(model, top_n=None, method=method, contrast=False)
    e = explainer.explain(np.ones((1, 2, 2, 1)))
    np.testing.assert_allclose(e.scores, 4 + 8 * 3)
    np.testing.assert_allclose(e.lost, 24 / 28, rtol=1e-5)
    np.testing.assert_allclose(e.mass_map()[0], np.full((2, 2), 1 / 28), rtol=1e-5)
