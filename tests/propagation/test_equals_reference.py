"""The fast path against the plain loops."""

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from networks import assert_equals_reference, images, layers, networks, other_rank_networks
from sequence_networks import sequence_networks

from keras_backtrack.graph.compat import keras
from keras_backtrack.propagation.limits import Limits

some = st.sampled_from([1, 2, 3, None])


pictures = networks()
limits = st.builds(Limits, st.sampled_from([1, 3, 20, None]), some, some, st.booleans())


def check(data, networks, limits) -> None:
    model, exact = data.draw(networks)
    limits = data.draw(limits)
    count, per_image = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    x = images(model, count, data.draw(st.integers(0, 2**31)), exact)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    targets = np.stack([rng.permutation(5)[:per_image] for _ in range(count)])
    assert_equals_reference(model, x, targets, limits)
    # Or the networks of a whole run would stay in memory.
    keras.backend.clear_session()


def check_random_networks(examples: int, number: int, networks=pictures, limits=limits) -> None:
    @settings(max_examples=examples, derandomize=False, database=None)
    @given(st.data())
    def run(data):
        check(data, networks, limits)

    seed(number)(run)()


both_methods = pytest.mark.parametrize(
    "limits", [limits, st.none()], ids=["best paths", "all paths"]
)


# With the slow tests 300 networks for all paths and half as many for the best, in parts.
def test_random_networks_optimised():
    check_random_networks(10, 0)


@both_methods
@pytest.mark.parametrize("part", range(2))
def test_random_networks(part, limits, plain_graphs):
    check_random_networks(12, 1 + part, limits=limits)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize(
    ("examples", "limits"), [(25, limits), (69, st.none())], ids=["best paths", "all paths"]
)
def test_more_random_networks(part, examples, limits, plain_graphs):
    check_random_networks(examples, 11 + part, limits=limits)


@both_methods
def test_random_networks_of_other_ranks(limits, plain_graphs):
    check_random_networks(6, 8, other_rank_networks(), limits)


@both_methods
def test_random_networks_over_sequences(limits, plain_graphs):
    check_random_networks(4, 9, sequence_networks(), limits)


@pytest.mark.slow
@both_methods
def test_more_random_networks_over_sequences(limits, plain_graphs):
    check_random_networks(15, 10, sequence_networks(), limits)


def test_random_networks_in_parts(monkeypatch):
    """Every step shares its nodes among threads, a few for each."""
    monkeypatch.setattr("keras_backtrack.propagation.kernels.compiled._WORTH_A_THREAD", 1)
    monkeypatch.setattr("keras_backtrack.propagation.kernels.compiled._MOST_NUMBERS", 64)
    check_random_networks(6, 7)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_wide_convolutions(groups, padding, rng):
    """Wide enough for several threads."""
    image = keras.Input((9, 8, 512))
    x = layers.Conv2D(128, 3, padding=padding, groups=groups, activation="relu")(image)
    x = layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(x))
    model = keras.Model(image, layers.Dense(5)(x))
    x = np.maximum(rng.normal(size=(3, 9, 8, 512)), 0).astype(np.float32)
    targets = np.array([[0, 1], [2, 3], [4, 0]])
    assert_equals_reference(model, x, targets, Limits(None, 4, 2, False))


def flat():
    """Dense layers with one row for each image."""
    return keras.Sequential(
        [keras.Input((30,)), layers.Dense(37, "relu"), layers.Dense(41, "relu"), layers.Dense(5)]
    )


def rows():
    """A Dense layer that computes several rows for each image."""
    image = keras.Input((4, 30))
    x = layers.Dense(37, "relu")(image)
    return keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))


@pytest.mark.parametrize("network", [flat, rows])
@pytest.mark.parametrize(
    "constants",
    [
        {},
        {"propagation.kernels.compiled._MOST_NUMBERS": 64},
        {"propagation.kernels.compiled._WORTH_A_THREAD": 1},
    ],
    ids=["at once", "in parts", "on several threads"],
)
@pytest.mark.parametrize("top_n", [7, 1000])
def test_dense(top_n, network, constants, monkeypatch, rng):
    for name, value in constants.items():
        monkeypatch.setattr(f"keras_backtrack.{name}", value)
    model = network()
    # Quarters and whole numbers, so that there are ties.
    model.set_weights([np.round(4 * weight) / 4 for weight in model.get_weights()])
    x = np.round(2 * rng.normal(size=(2, *model.input_shape[1:]))).astype(np.float32)
    assert_equals_reference(model, x, np.array([[0, 1], [2, 3]]), Limits(top_n, 1, 1, False))
