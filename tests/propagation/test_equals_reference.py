"""The fast path against the plain loops."""

import os

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from networks import (
    assert_equals_reference,
    images,
    layers,
    networks,
    other_rank_networks,
    two_input_networks,
    u_nets,
)
from sequence_networks import sequence_networks

from keras_backtrack.graph.compat import keras
from keras_backtrack.propagation.limits import Limits

# `make fuzz` draws other networks every night. What fails prints a line of `reproduce_failure`.
_FRESH = int(os.environ.get("FRESH_SEED", 0))

some = st.sampled_from([1, 2, 3, None])


pictures = networks()
limits = st.builds(Limits, st.sampled_from([1, 3, 20, None]), some, some, st.booleans())
METHODS = ["viterbi", "posterior", "backtrack"]
bars = st.sampled_from([0.0, 0.25, 1.0])
kinds = st.sampled_from(["high", "low", "versus", "together"])


def check(data, networks, method: str, bars) -> None:
    """Two questions about each of some images, asked and followed back at random."""
    model, exact = data.draw(networks)
    number, count = data.draw(st.integers(0, 2**31)), data.draw(st.integers(1, 3))
    x, rng = images(model, count, number, exact), np.random.default_rng(number)
    units, bar = int(np.prod(model.output_shape[1:])), data.draw(bars)
    kind = data.draw(kinds) if units > 1 else "predicted"
    own = None if method == "posterior" else data.draw(limits)
    if own is not None and (method != "viterbi" or bar is not None):
        # The paper's walk alone knows biases.
        own = own._replace(include_bias=False)
    pairs = [[rng.permutation(units)[:2] for _ in range(2)] for _ in range(count)]
    pairs = np.array(pairs) if units > 1 else np.zeros((count, 1, 1), int)
    assert_equals_reference(
        model,
        x,
        pairs[:, 0] if kind == "together" else pairs[..., 0],
        own,
        pairs[..., 1] if kind == "versus" else None,
        method=method,
        contrast=bar,
        side={"low": -1, "predicted": None}.get(kind, 1),
        together=kind == "together",
    )
    # Or the networks of a whole run would stay in memory.
    keras.backend.clear_session()


def check_random_networks(examples, number, networks=pictures, method="viterbi", bars=bars):
    @settings(max_examples=examples, derandomize=False, database=None)
    @given(st.data())
    def run(data):
        check(data, networks, method, bars)

    seed(number + _FRESH)(run)()


all_methods = pytest.mark.parametrize("method", METHODS)
both_questions = pytest.mark.parametrize("bars", [st.none(), bars], ids=["plain", "contrast"])


def test_random_networks_optimised():
    check_random_networks(4, 0, bars=st.one_of(st.none(), bars))


@all_methods
@both_questions
def test_random_networks(method, bars, plain_graphs):
    check_random_networks(5, 1, method=method, bars=bars)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
@all_methods
@both_questions
def test_more_random_networks(bars, part, method, plain_graphs):
    check_random_networks(20, 11 + part, method=method, bars=bars)


@all_methods
@pytest.mark.parametrize("examples", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_outputs_of_one_unit(examples, method, plain_graphs):
    """On the side that they are on."""
    check_random_networks(examples, 2, networks(1), method, st.one_of(st.none(), bars))


@all_methods
@pytest.mark.parametrize("examples", [2, pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("network", [two_input_networks, u_nets, other_rank_networks])
def test_other_random_networks(network, examples, method, plain_graphs):
    check_random_networks(examples, 8, network(), method, st.one_of(st.none(), bars))


@all_methods
@pytest.mark.parametrize("examples", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_random_networks_over_sequences(examples, method, plain_graphs):
    check_random_networks(examples, 9, sequence_networks(), method, st.one_of(st.none(), bars))


def test_random_networks_in_parts(monkeypatch):
    """Every step shares its nodes among threads, a few for each."""
    monkeypatch.setattr("keras_backtrack.propagation.kernels.compiled._WORTH_A_THREAD", 1)
    monkeypatch.setattr("keras_backtrack.propagation.kernels.compiled._MOST_NUMBERS", 64)
    check_random_networks(4, 7, bars=st.none())


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
