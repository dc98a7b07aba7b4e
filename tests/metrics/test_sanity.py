"""Random weights: maps that do not change say nothing about the network."""

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer, metrics
from keras_backtrack.graph.compat import keras


def small_model(rng):
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu")(image)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    model = keras.Model(image, layers.Dense(4, activation="softmax")(layers.Flatten()(x)))
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    return model


def test_randomisation_cascades_and_leaves_the_model_as_it_was(rng):
    model = small_model(rng)
    kept = model.get_weights()
    steps = []

    def explain():
        now = model.get_weights()
        steps.append([not np.array_equal(a, b) for a, b in zip(now, kept, strict=True)])
        # The values are shuffled, none is lost.
        for a, b in zip(now, kept, strict=True):
            np.testing.assert_array_equal(np.sort(a, axis=None), np.sort(b, axis=None))
        return now[0][..., 0].transpose(2, 0, 1)

    cascade = metrics.cascading_randomization(model, explain)
    conv, norm, conv2, dense = ([i, i + 1] for i in (0, 2, 6, 8))
    norm = [2, 3, 4, 5]
    assert [step.share for step in cascade] == [0.25, 0.5, 0.75, 1]
    assert "dense" in cascade[0].layer and "conv" in cascade[1].layer
    changed = [set(np.flatnonzero(step)) for step in steps]
    assert changed == [
        set(),
        set(dense),
        {*dense, *conv2},
        {*dense, *conv2, *norm},
        {*dense, *conv2, *norm, *conv},
    ]
    assert [step.likeness == 1 for step in cascade] == [True, True, True, False]
    for a, b in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_error_leaves_the_model_as_it_was(rng):
    model = small_model(rng)
    kept = model.get_weights()
    calls = []

    def explain():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return np.eye(8)[None]

    with pytest.raises(KeyboardInterrupt):
        metrics.cascading_randomization(model, explain)
    for a, b in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_explainer_sees_the_random_weights(rng):
    model = small_model(rng)
    explainer = BacktrackExplainer(model, method="posterior")
    x = rng.uniform(size=(2, 8, 8, 3)).astype(np.float32)

    def explain():
        return explainer.explain(x, 1).attention(sigma=0.5)

    before = explain()
    both = metrics.cascading_randomization(
        model,
        explain,
        lambda a, b: (metrics.rank_correlation(a, b), metrics.ssim(a, b)),
        shares=(0.5, 1),
    )
    assert [step.share for step in both] == [0.5, 1]
    assert all(likeness < 0.999 for step in both for likeness in step.likeness)
    np.testing.assert_array_equal(explain(), before)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: metrics.cascading_randomization(
                keras.Sequential([keras.Input((2,)), layers.ReLU()]), lambda: None
            ),
            "must have weights",
        ),
    ],
)
def test_wrong_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_shares_are_above_0(rng):
    with pytest.raises(ValueError, match="at most 1.*Received"):
        metrics.cascading_randomization(small_model(rng), lambda: None, shares=[0])
