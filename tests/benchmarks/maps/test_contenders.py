"""The methods that are compared."""

import numpy as np
import pytest
from networks import layers

from benchmarks.maps import cams, controls, ours, rise
from benchmarks.maps.networks import load
from benchmarks.maps.subject import Subject
from keras_backtrack import metrics
from keras_backtrack.graph.compat import keras


@pytest.fixture(scope="module")
def subject(model):
    """The network that knows red from blue."""
    return Subject(load(str(model), preprocess="unit"))


@pytest.fixture
def picture():
    """Red above on the left, blue below on the right, on grey."""
    x = np.full((1, 32, 32, 3), 0.4, np.float32)
    x[0, 4:12, 4:12], x[0, 20:28, 20:28] = (0.9, 0.1, 0.1), (0.1, 0.1, 0.9)
    return x


def test_ours_sees_the_network_as_it_is(subject, picture):
    """With its soft-max, and with the weights that randomisation gives the logits' model."""
    assert subject.whole.output_shape == subject.model.output_shape == (None, 2)
    np.testing.assert_allclose(subject.whole(picture), subject.network.model(picture), rtol=1e-5)
    np.testing.assert_allclose(subject.predict(picture).sum(), 1, rtol=1e-5)
    explain = ours.OURS["backtrack"](subject)
    steps = metrics.cascading_randomization(
        subject.model, lambda: explain(picture, np.array([0])), shares=(1,)
    )
    assert steps[-1].likeness < 0.999


@pytest.mark.parametrize("name", ["backtrack", "posterior, contrast", "LayerCAM", "CAM", "RISE"])
def test_maps_are_where_the_class_is(subject, picture, name):
    methods = {**ours.OURS, "LayerCAM": cams.layercam(), "CAM": cams.cam, "RISE": rise.rise}
    x, targets = np.repeat(picture, 2, axis=0), np.array([0, 1])
    maps = methods[name](subject)(x, targets)
    assert maps.shape == (2, 32, 32) and maps.min() >= 0
    halves = np.stack([maps[:, :16, :16].sum((1, 2)), maps[:, 16:, 16:].sum((1, 2))], axis=1)
    assert halves[0, 0] > halves[0, 1] and halves[1, 1] > halves[1, 0]


def test_layercam_is_gradient_times_activation(rng):
    """By hand, on a network whose gradient is its last kernel."""
    image = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 1, use_bias=False, name="at")(image)
    x = layers.Dense(2, use_bias=False)(layers.Flatten()(x))
    network = load_of(keras.Model(image, x))
    x = rng.normal(size=(3, 4, 4, 2)).astype(np.float32)
    targets = np.array([0, 1, 1])
    activations = np.einsum("nhwc,cd->nhwd", x, network.model.layers[1].get_weights()[0][0, 0])
    gradient = network.model.layers[-1].get_weights()[0].reshape(4, 4, 3, 2)[..., targets]
    want = np.maximum(np.moveaxis(gradient, -1, 0) * activations, 0).sum(axis=-1)
    found = cams.layercam("at")(network)(x, targets)
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-6)
    with pytest.raises(cams.DoesNotApply, match="nowhere"):
        cams.layercam("nowhere")(network)


def load_of(model):
    """A model as the benchmarks see a network."""

    class Network:
        size = tuple(model.input_shape[1:3])

    network = Network()
    network.model = model
    return Subject(network)


def test_rise_masks():
    masks = rise.random_masks(300, (32, 40), seed=0)
    assert masks.shape == (300, 32, 40) and masks.min() >= 0 and masks.max() <= 1
    assert abs(masks.mean() - 0.5) < 0.02 and masks.mean(axis=0).std() < 0.05
    np.testing.assert_array_equal(masks, rise.random_masks(300, (32, 40), seed=0))


def test_colour_control_knows_no_class(subject, picture):
    explain = controls.colour_contrast(subject)
    maps = explain(np.repeat(picture, 2, axis=0), np.array([0, 1]))
    np.testing.assert_array_equal(*maps)
    assert maps[0, 8, 8] > 10 * maps[0, 16, 16]
