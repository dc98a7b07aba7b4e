"""Models that can be read, and what is said of others."""

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer, UnsupportedModelError
from keras_backtrack.graph.compat import keras


def test_several_outputs_need_a_choice():
    image = keras.Input((4,))
    outputs = [layers.Dense(2, name="first")(image), layers.Dense(3, name="second")(image)]
    model = keras.Model(image, outputs)
    with pytest.raises(ValueError, match=r"2 outputs: choose one.*Received: output=None"):
        BacktrackExplainer(model)
    with pytest.raises(ValueError, match=r"no such output.*Received: output='third'"):
        BacktrackExplainer(model, output="third")
    e = BacktrackExplainer(model, output=1).explain(np.ones((1, 4)))
    assert e.layers == ["second"]


def test_unbuilt_model():
    with pytest.raises(ValueError, match="not built yet.*Received: unbuilt model"):
        BacktrackExplainer(keras.Sequential([layers.Dense(2)]))


class Choosy(keras.Model):
    """What its `call` does depends on numbers that are not known beforehand."""

    def call(self, x):
        return x if float(x[0, 0]) > 0 else -x


def test_subclassed_model_that_cannot_be_recorded():
    model = Choosy()
    with pytest.raises(ValueError, match="Call it once.*Received: unbuilt model"):
        BacktrackExplainer(model)
    model(np.ones((1, 3), np.float32))
    with pytest.raises(UnsupportedModelError, match="Functional API.*Received: model"):
        BacktrackExplainer(model)


def test_no_model():
    with pytest.raises(TypeError, match=r"keras.Model.*Received: 3"):
        BacktrackExplainer(3)
