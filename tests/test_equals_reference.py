"""The fast path against the plain loops."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from networks import assert_equals_reference, images, layers, networks

from keras_backtrack.compat import keras
from keras_backtrack.walk import Limits

some = st.sampled_from([1, 2, 3, None])


def check(data) -> None:
    model, exact = data.draw(networks())
    limits = Limits(
        data.draw(st.sampled_from([1, 3, 20, None])),
        data.draw(some),
        data.draw(some),
        data.draw(st.booleans()),
    )
    count, per_image = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    x = images(model, count, data.draw(st.integers(0, 2**31)), exact)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    targets = np.stack([rng.permutation(5)[:per_image] for _ in range(count)])
    assert_equals_reference(model, x, targets, limits)


# Three tests of 100 networks, so that they run side by side.
@pytest.mark.parametrize("part", range(3))
def test_random_networks(part, request):
    if part > 0:
        # Optimising a graph takes TensorFlow longer than all the rest; one part does with it.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        request.addfinalizer(
            lambda: tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
        )

    @settings(max_examples=100, derandomize=False, database=None)
    @given(st.data())
    def run(data):
        check(data)

    seed(part)(run)()


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_compiled_kernel(groups, padding, rng):
    """Wide enough for the compiled path, with more nodes than fit one call of it."""
    image = keras.Input((9, 8, 256))
    x = layers.Conv2D(128, 3, padding=padding, groups=groups, activation="relu")(image)
    x = layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(x))
    model = keras.Model(image, layers.Dense(5)(x))
    x = np.maximum(rng.normal(size=(3, 9, 8, 256)), 0).astype(np.float32)
    targets = np.array([[0, 1], [2, 3], [4, 0]])
    assert_equals_reference(model, x, targets, Limits(None, 4, 2, False))


def test_chunks_of_nodes(monkeypatch, rng):
    """A layer's nodes may come in several chunks."""
    monkeypatch.setattr("keras_backtrack.walk._CHUNK", 64)
    model = keras.Sequential(
        [keras.Input((30,)), layers.Dense(37, "relu"), layers.Dense(41, "relu"), layers.Dense(5)]
    )
    x = rng.normal(size=(2, 30)).astype(np.float32)
    assert_equals_reference(model, x, np.array([[0, 1], [2, 3]]), Limits(7, 1, 1, False))
