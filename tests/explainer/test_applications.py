"""The networks of `keras.applications`, one of each family, with random weights."""

import numpy as np
import pytest
from networks import assert_equals_reference, randomise

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.propagation.limits import Limits

# By name, the smallest input that is legal everywhere.
FAMILIES = {
    "VGG16": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "Xception": 71,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "DenseNet121": 32,
    "NASNetMobile": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "ConvNeXtTiny": 32,
}


@pytest.fixture(params=FAMILIES)
def network(request, plain_graphs):
    """The network, and pictures for it."""
    size = FAMILIES[request.param]
    build = getattr(keras.applications, request.param)
    model = build(weights=None, input_shape=(size, size, 3), classes=10)
    randomise(model, 0)
    pictures = np.random.default_rng(1).uniform(0, 255, size=(2, size, size, 3))
    return model, pictures.astype(np.float32)


@pytest.mark.slow
def test_keeps_all_mass(network):
    model, x = network
    for settings in ({"channels": 2, "positions": 2}, {"method": "posterior"}):
        e = BacktrackExplainer(model, **settings).explain(x)
        for mass, lost in zip(e.mass, e.lost, strict=True):
            assert abs(mass.sum() + lost - 1) < 1e-4


@pytest.mark.slow
def test_walk_equals_reference(network):
    model, x = network
    assert_equals_reference(model, x[:1], np.array([[3]]), Limits(20, 1, 1, False))
