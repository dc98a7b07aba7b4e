"""Inputs of channels, rows and columns: places are rows and columns all the same."""

import numpy as np
import pytest
import tensorflow as tf
from networks import assert_equals_reference, layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import KERAS_3, keras
from keras_backtrack.propagation.limits import Limits
from keras_backtrack.rules import read_model

FIRST = "channels_first"
METHODS = ["viterbi", "posterior", "backtrack"]
MAP = (3, 24, 20)  # channels, rows and columns


def swapped(x):
    return (keras.ops if KERAS_3 else tf).transpose(x, [0, 2, 3, 1])


def by_layers(image):
    x = layers.Conv2D(5, 3, padding="same", data_format=FIRST)(image)
    x = layers.ReLU()(layers.BatchNormalization(axis=1)(x))
    x = layers.MaxPooling2D(2, data_format=FIRST)(x)
    y = layers.Conv2D(5, 3, padding="same", data_format=FIRST)(x)
    x = layers.Conv2D(6, 3, activation="relu", data_format=FIRST)(layers.Add()([x, y]))
    return layers.GlobalAveragePooling2D(data_format=FIRST)(x)


def as_by_layers(image):
    x = layers.Conv2D(5, 3, padding="same")(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.MaxPooling2D(2)(x)
    y = layers.Conv2D(5, 3, padding="same")(x)
    x = layers.Conv2D(6, 3, activation="relu")(layers.Add()([x, y]))
    return layers.GlobalAveragePooling2D()(x)


def behind(permute):
    def network(image):
        x = layers.Rescaling(2.0, -0.5)(image) if permute == "late" else image
        return as_by_layers(swapped(x) if permute == "op" else layers.Permute((2, 3, 1))(x))

    return network


def model_of(body, shape):
    keras.utils.set_random_seed(7)
    image = keras.Input(shape)
    model = keras.Model(image, layers.Dense(3)(body(image)))
    rng = np.random.default_rng(7)
    model.set_weights(
        [
            abs(w) if "variance" in v.name else w + rng.normal(0, 0.1, w.shape)
            for w, v in zip(model.get_weights(), model.weights, strict=True)
        ]
    )
    return model


def two(body):
    """A network with the channels first, and the same one with them last."""
    first = model_of(body, MAP)
    late = (
        (lambda x: as_by_layers(layers.Rescaling(2.0, -0.5)(x))) if body is LATE else as_by_layers
    )
    last = model_of(late, (*MAP[1:], MAP[0]))
    last.set_weights(first.get_weights())
    return first, last


LATE = behind("late")
BODIES = {"layers": by_layers, "permute": behind("layer"), "transpose": behind("op"), "late": LATE}
slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("body", "method", "contrast"),
    [
        *[(name, "backtrack", True) for name in BODIES],
        *[("layers", "viterbi", False), ("layers", "posterior", True)],
        *[
            pytest.param(n, m, c, marks=slow)
            for n in BODIES
            for m in METHODS
            for c in (True, False)
        ],
    ],
)
def test_places_are_those_of_the_same_network_with_channels_last(body, method, contrast, rng):
    first, last = two(BODIES[body])
    x = rng.normal(size=(2, *MAP)).astype(np.float32)
    turned = np.moveaxis(x, 1, -1)
    settings = {"method": method, "contrast": contrast}
    e = BacktrackExplainer(first, **settings).explain(x, 1)
    want = BacktrackExplainer(last, **settings).explain(turned, 1)
    np.testing.assert_allclose(e.scores, want.scores, rtol=1e-4)
    for i in range(2):
        np.testing.assert_array_equal(e.pixels[i], want.pixels[i])
        np.testing.assert_allclose(e.mass[i], want.mass[i], atol=1e-5)
    assert e.mass_map().shape == (2, 24, 20)
    np.testing.assert_allclose(e.attention(), want.attention(), atol=1e-4)
    np.testing.assert_array_equal(e.boxes()[0], want.boxes()[0])
    np.testing.assert_allclose(e.grid().sum(), want.grid().sum(), atol=1e-4)
    for given in (None, x, turned):
        for own, other in zip(e.pictures(given), want.pictures(None), strict=True):
            np.testing.assert_array_equal(own, other)


def flat(image):
    return layers.Flatten()(image)


@pytest.mark.parametrize("method", ["posterior", pytest.param("backtrack", marks=slow)])
def test_where_the_model_does_not_say_an_argument_does(method, rng):
    first, last = model_of(flat, MAP), model_of(flat, (*MAP[1:], MAP[0]))
    kernel, bias = first.get_weights()
    kernel = np.moveaxis(kernel.reshape(*MAP, -1), 0, 2).reshape(kernel.shape)
    last.set_weights([kernel, bias])
    x = rng.normal(size=(1, *MAP)).astype(np.float32)
    e = BacktrackExplainer(first, method=method, data_format=FIRST).explain(x, 1)
    want = BacktrackExplainer(last, method=method).explain(np.moveaxis(x, 1, -1), 1)
    np.testing.assert_array_equal(e.pixels[0], want.pixels[0])
    np.testing.assert_allclose(e.mass[0], want.mass[0], atol=1e-6)
    assert e.attention().shape == (1, 24, 20)
    with pytest.raises(ValueError, match=r"`data_format` must.*Received: 'NCHW'"):
        BacktrackExplainer(first, data_format="NCHW")


def test_what_the_model_says_counts_and_channels_last_is_the_rule():
    assert not read_model(model_of(flat, MAP)).channels_first
    assert not read_model(model_of(as_by_layers, (24, 20, 3))).channels_first
    graph = read_model(model_of(by_layers, MAP))
    names = {graph.names[n].split("/")[-1].split(":")[0] for n in graph.channels_first}
    assert graph.inputs[0] in graph.channels_first
    assert "channels_first" in names and "channels_last" not in names


@pytest.mark.parametrize("method", [pytest.param(m, marks=slow) for m in METHODS])
@pytest.mark.parametrize("contrast", [None, 0.25])
@pytest.mark.parametrize("body", ["layers", "late"])
def test_channels_first_equals_the_reference(body, method, contrast, rng, plain_graphs):
    model = model_of(BODIES[body], (2, 9, 8))
    x = rng.normal(size=(1, 2, 9, 8)).astype(np.float32)
    limits = None if method == "posterior" else Limits(3, 2, 2, False)
    assert_equals_reference(model, x, np.array([[1]]), limits, method=method, contrast=contrast)


def test_one_with_contrast_equals_the_reference(rng, plain_graphs):
    keras.utils.set_random_seed(1)
    image = keras.Input((2, 7, 6))
    x = layers.ReLU()(layers.Conv2D(3, 2, data_format=FIRST)(image))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    x = rng.normal(size=(1, 2, 7, 6)).astype(np.float32)
    assert_equals_reference(model, x, np.array([[1]]), None, method="posterior", contrast=0.25)
