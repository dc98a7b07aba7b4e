"""Activations too large for their dtype: the layer is told, and no memory is read but theirs."""

import numpy as np
import pytest

from keras_backtrack import BacktrackExplainer, UnsupportedModelError
from keras_backtrack.graph.compat import keras
from keras_backtrack.propagation.kernels import NodeArrays, merge
from keras_backtrack.propagation.kernels.choosing import choose

layers = keras.layers
METHODS = ["viterbi", "posterior", "backtrack"]


def network(scale, dtype=None, count=2):
    """Convolutions with weights of one size each, and a ReLU6 that makes the output finite."""
    keras.utils.set_random_seed(0)
    settings = {"padding": "same", "use_bias": False, "dtype": dtype}
    image = x = keras.Input((10, 9, 3))
    for i in range(count):
        start = keras.initializers.RandomUniform(0.5 * scale, scale)
        x = layers.Conv2D(4, 3, kernel_initializer=start, name=f"large{i}", **settings)(x)
    x = layers.ReLU(max_value=6.0, dtype=dtype)(x)
    return keras.Model(image, layers.Dense(3, dtype="float32")(layers.Flatten()(x)))


@pytest.mark.parametrize("contrast", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("scale", "dtype"), [(1e30, None), (1e4, "mixed_float16")])
def test_the_layer_that_overflowed_is_told(scale, dtype, method, contrast, rng):
    e = BacktrackExplainer(network(scale, dtype), method=method, contrast=contrast)
    with pytest.raises(RuntimeError, match=r"'large\d'.* computes in float.*Received"):
        e.explain(rng.random((2, 10, 9, 3)).astype(np.float32), 1)
    # The first one: at 1e4 each already, and at 1e30 two together.
    with pytest.raises(RuntimeError, match="'large1'" if dtype is None else "'large0'"):
        e.prepare(rng.random((2, 10, 9, 3)).astype(np.float32)).explain(1)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_large_and_finite_is_explained(method, rng):
    e = BacktrackExplainer(network(1e9), method=method).explain(rng.random((2, 10, 9, 3)), 1)
    for mass, lost in zip(e.mass, e.lost, strict=True):
        np.testing.assert_allclose(mass.sum() + lost, 1, atol=1e-3)


def test_an_output_that_is_no_number_names_its_layer(rng):
    image = keras.Input((4,))
    hidden = layers.Dense(3, kernel_initializer=keras.initializers.Constant(1e38), name="huge")
    model = keras.Model(image, layers.Dense(2, kernel_initializer="ones")(hidden(image)))
    with pytest.raises(ValueError, match="output must be finite.*'huge'"):
        BacktrackExplainer(model).explain(np.full((1, 4), 100.0, np.float32))


def test_nodes_of_no_mass_stay_the_nodes_they_are():
    """Before, an empty place of the table was told by its mass."""
    index, sign = np.array([3, 5, 3, 6]), np.ones(4, np.float32)
    mass = np.array([np.nan, 1.0, 2.0, np.nan], np.float32)
    found = merge([NodeArrays(index, sign, mass)])
    np.testing.assert_array_equal(found.index, [3, 5, 6])
    np.testing.assert_array_equal(found.mass, np.array([np.nan, 1.0, np.nan], np.float32))


@pytest.mark.parametrize("nan", [np.nan, -np.nan])
@pytest.mark.parametrize("limit", [1, 2, 70, 200])
@pytest.mark.parametrize("at", [0, 3, 100, 149])
def test_a_contribution_that_is_no_number_is_not_passed_over(at, limit, nan):
    values = np.linspace(-1, 1, 150, dtype=np.float32)
    values[at] = nan
    place, kept = np.zeros(limit, np.int64), np.zeros(limit, np.float32)
    count = choose(values, limit, place, kept)
    assert np.isnan(kept[:count]).any()
    assert at in place[:count]


def test_float64_is_refused_by_the_names_of_its_layers(rng):
    image = keras.Input((6,))
    x = layers.Dense(4, dtype="float64", name="precise")(image)
    model = keras.Model(image, layers.Dense(3, dtype="float32")(x))
    with pytest.raises(UnsupportedModelError, match="float64.*'precise'"):
        BacktrackExplainer(model)


def test_an_input_in_float64_is_no_matter(rng):
    keras.utils.set_random_seed(0)
    image = keras.Input((6,), dtype="float64")
    model = keras.Model(image, layers.Dense(3)(image))
    e = BacktrackExplainer(model).explain(rng.normal(size=(2, 6)))
    np.testing.assert_allclose([m.sum() for m in e.mass] + e.lost, 1, atol=1e-5)
