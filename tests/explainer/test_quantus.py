"""Maps for code that compares methods."""

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer, explain_func
from keras_backtrack.graph.compat import KERAS_3, keras


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
    first = explain_func(model, np.moveaxis(x, -1, 1), y, kind="mass", method="posterior")
    np.testing.assert_array_equal(first, mass)
    with pytest.raises(ValueError, match="'attention' or 'mass'.*Received: 'boxes'"):
        explain_func(model, x, y, kind="boxes")


def test_in_quantus(model, rng):
    quantus = pytest.importorskip("quantus", reason="needs Quantus")
    if KERAS_3:
        pytest.skip("Quantus knows Keras 2 only")
    x, y = rng.random((3, 12, 10, 3)).astype("f"), np.array([0, 2, 1])
    how = {"method": "posterior", "kind": "mass"}
    given = {"model": model, "x_batch": x, "y_batch": y}
    settings = {**given, "explain_func": explain_func, "explain_func_kwargs": how}
    scores = quantus.Sparseness(disable_warnings=True)(**settings)
    assert len(scores) == 3 and all(0 < score < 1 for score in scores)
    scores = quantus.MaxSensitivity(nr_samples=2, disable_warnings=True)(**settings)
    assert len(scores) == 3 and all(0 < score < 1 for score in scores)
    assert len(quantus.MPRT(disable_warnings=True)(**settings))
    flipping = quantus.PixelFlipping(
        features_in_step=10, perturb_baseline="black", disable_warnings=True
    )
    curves = flipping(**given, a_batch=explain_func(model, x, y, **how))
    assert np.shape(curves) == (3, 36)
