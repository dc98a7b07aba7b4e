"""Maps for code that compares methods."""

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer, explain_func
from keras_backtrack.compat import KERAS_3, keras


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 10, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


def test_maps(model, rng):
    x, y = rng.random((3, 12, 10, 3)), np.array([0, 2, 1])
    e = BacktrackExplainer(model, method="posterior").explain(x, y)
    attention = explain_func(model, x, y, method="posterior", sigma=2.0)
    assert attention.dtype == np.float32
    np.testing.assert_array_equal(attention, e.attention(2.0))
    mass = explain_func(model=model, inputs=x, targets=y, kind="mass", method="posterior")
    assert mass.shape == (3, 12, 10)
    np.testing.assert_allclose(mass.sum(axis=(1, 2)) + e.lost, 1, atol=1e-4)
    with pytest.raises(ValueError, match="'attention', 'mass'.*Received: 'boxes'"):
        explain_func(model, x, y, kind="boxes")


def test_in_quantus(model, rng):
    quantus = pytest.importorskip("quantus", reason="needs Quantus")
    if KERAS_3:
        pytest.skip("Quantus knows Keras 2 only")
    x, y = rng.random((3, 12, 10, 3)).astype("f"), np.array([0, 2, 1])
    metric = quantus.Sparseness(disable_warnings=True)
    how = {"method": "posterior", "kind": "mass"}
    settings = {"explain_func": explain_func, "explain_func_kwargs": how}
    scores = metric(model=model, x_batch=x, y_batch=y, **settings)
    assert len(scores) == 3 and all(0 < score < 1 for score in scores)
