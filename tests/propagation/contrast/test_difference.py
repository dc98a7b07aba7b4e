"""Why this and not that: the difference of two logits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import assert_equals_reference, images, layers, networks, randomise_all

from keras_backtrack.graph.compat import keras
from keras_backtrack.propagation.limits import Limits

some = st.sampled_from([1, 2, 3, None])
limits = st.builds(Limits, st.sampled_from([1, 3, 20, None]), some, some, st.booleans())
# A method, its limits and no bar.
walks = st.one_of(
    st.tuples(st.just("viterbi"), limits, st.none()),
    st.tuples(
        st.just("backtrack"), limits.map(lambda x: x._replace(include_bias=False)), st.none()
    ),
    st.just(("posterior", None, None)),
)
PAPER = Limits(3, 2, 2, False)


def check(model, exact: bool, walk: tuple, number: int) -> None:
    """Two differences for each of two images, at random."""
    x, rng = images(model, 2, number, exact), np.random.default_rng(number)
    pairs = np.array([[rng.permutation(5)[:2] for _ in range(2)] for _ in range(2)])
    method, limits, bar = walk
    assert_equals_reference(
        model, x, pairs[..., 0], limits, pairs[..., 1], method=method, contrast=bar
    )
    # Or the networks of a whole run would stay in memory.
    keras.backend.clear_session()


@pytest.mark.parametrize("examples", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_random_networks(examples, plain_graphs):
    @settings(max_examples=examples)
    @given(networks(), walks, st.integers(0, 2**31))
    def run(network, walk, number):
        check(*network, walk, number)

    run()


HEADS = {
    "soft-max": lambda x: layers.Dense(5, activation="softmax")(layers.Flatten()(x)),
    "maps and their mean": lambda x: layers.Softmax()(
        layers.GlobalAveragePooling2D()(layers.Conv2D(5, 2, activation="relu")(x))
    ),
    "maps and their largest": lambda x: layers.GlobalMaxPooling2D()(layers.Conv2D(5, 2)(x)),
    "maps in groups": lambda x: layers.GlobalMaxPooling2D()(
        layers.Conv2D(6, 2, groups=2, padding="same")(x)
    ),
    "a convolution of one pixel": lambda x: layers.Softmax()(
        layers.Reshape((5,))(layers.Conv2D(5, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x)))
    ),
    "a norm that turns logits round": lambda x: layers.BatchNormalization()(
        layers.Dense(5)(layers.Flatten()(x))
    ),
    "two heads added": lambda x: layers.Add()(
        [layers.Dense(5)(layers.Flatten()(x)), layers.Dense(5)(layers.GlobalMaxPooling2D()(x))]
    ),
    "two heads averaged": lambda x: layers.Average()(
        [
            layers.Dense(5, activation="softmax")(layers.Flatten()(x)),
            layers.Dense(5, activation="softmax")(layers.GlobalMaxPooling2D()(x)),
        ]
    ),
    "a head for each class": lambda x: layers.Concatenate()(
        [layers.Dense(1)(layers.Flatten()(x)) for _ in range(5)]
    ),
    "a recurrent layer": lambda x: layers.GRU(5)(layers.Reshape((-1, 8))(x)),
}


def with_head(head):
    image = keras.Input((6, 5, 3))
    x = layers.Conv2D(4, 2, activation="relu", padding="same")(image)
    return keras.Model(image, HEADS[head](x))


# The others are among the slow tests.
_EVERY_DAY = ("soft-max", "maps and their mean", "two heads added", "a head for each class")


@pytest.mark.parametrize(("number", "head"), enumerate(_EVERY_DAY))
def test_heads(number, head, plain_graphs):
    model = with_head(head)
    randomise_all(model, number, exact=False)
    method = "posterior" if number % 2 else "backtrack"
    for bar in (None, 0.25):
        check(model, False, (method, PAPER, bar), number)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_heads_in_many_walks(head, plain_graphs):
    @settings(max_examples=4)
    @given(walks, st.sampled_from([None, 0.0, 1.0]), st.booleans(), st.integers(0, 2**31))
    def run(walk, bar, exact, number):
        model = with_head(head)
        randomise_all(model, number, exact)
        method, limits, _ = walk
        if limits is not None and bar is not None:
            limits = limits._replace(include_bias=False)
        check(model, exact, (method, limits, bar), number)

    run()
