"""Convolutions that TensorFlow's oneDNN computes wrongly."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from processes import python

from keras_backtrack import runtime
from keras_backtrack.explainer.model_checks import check_answer
from keras_backtrack.graph.compat import keras
from keras_backtrack.rules import read_model

layers = keras.layers


@pytest.mark.parametrize(
    ("channels", "window", "strides", "outputs", "expected"),
    [
        (1, (1, 3), (1, 3), (4, 1), True),
        (1, (2, 1, 3), (3, 1, 4), (1, 4, 1), True),
        (2, (1, 3), (1, 3), (4, 1), False),
        (1, (1, 3), (1, 3), (1, 1), False),
        (1, (1, 3), (1, 3), (4, 2), False),
        (1, (1, 3), (2, 3), (4, 1), False),
        (1, (1, 3), (1, 1), (4, 1), False),
        (1, (1, 1), (1, 3), (4, 1), False),
        (1, (3,), (3,), (1,), False),
    ],
)
def test_which_may_be_wrong(channels, window, strides, outputs, expected):
    assert runtime.may_be_wrong(channels, window, strides, outputs) == expected


_RIGHT = """
import itertools
import numpy as np
from keras_backtrack import runtime

rng = np.random.default_rng(0)
kinds = wrong = others = 0
sides, windows, strides = (1, 2, 4), (1, 2, 3), (1, 2, 3)
for inputs, window, stride, channels, padding in itertools.product(
    itertools.product(sides, sides), itertools.product(windows[::2], windows),
    itertools.product(strides[:2], strides), (1, 2), ("same", "valid"),
):
    if padding == "valid" and (inputs[0] < window[0] or inputs[1] < window[1]):
        continue
    outputs = [
        -(-side // by) if padding == "same" else (side - size) // by + 1
        for side, size, by in zip(inputs, window, stride)
    ]
    kernel = rng.normal(size=(*window, channels, 2)).astype(np.float32)
    is_kind = runtime.may_be_wrong(channels, window, stride, outputs)
    is_wrong = runtime.is_wrong(inputs, kernel, stride, padding)
    kinds, wrong = kinds + is_kind, wrong + is_wrong
    others += is_wrong and not is_kind
print(kinds, wrong, others)
"""


@pytest.mark.slow
def test_no_other_is_wrong():
    output = python(_RIGHT, TF_ENABLE_ONEDNN_OPTS="1")
    kinds, wrong, others = map(int, output.split()[-3:])
    assert kinds > 20 and wrong <= kinds
    assert others == 0


@pytest.mark.slow
def test_without_onednn_none_is_wrong():
    code = """
from keras_backtrack import runtime
runtime.configure(onednn=False, itex=False if runtime.itex_plugin() else None)
print(runtime.has_wrong_convolutions())
"""
    assert python(code).split()[-1] == "False"


def strided(transposed: bool):
    """A network with a layer of the kind, forward or backward."""
    image = keras.Input((4, 2, 1))
    if transposed:
        x = layers.Conv2D(3, (1, 2), activation="relu")(image)
        x = layers.Conv2DTranspose(1, (1, 3), (1, 2), name="kind")(x)
    else:
        x = layers.Conv2D(3, (1, 3), (1, 3), "same", activation="relu", name="kind")(image)
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


@pytest.mark.parametrize("transposed", [False, True])
def test_warns_of_a_wrong_layer(transposed, monkeypatch, rng):
    x = rng.normal(size=(3, 4, 2, 1)).astype(np.float32)
    compared = []

    def is_wrong(inputs, kernel, strides, padding):
        compared.append((tuple(inputs), kernel.shape, tuple(strides), padding))
        return True

    monkeypatch.setattr("keras_backtrack.runtime.is_wrong", is_wrong)
    model = strided(transposed)
    graph = read_model(model)
    with pytest.warns(UserWarning, match=r"computes 'kind' .* wrongly .*; to go without, .* first"):
        check_answer(model, graph, [tf.convert_to_tensor(x[:1])])
    sizes = ((4, 3), (1, 3, 1, 3), (1, 2), "valid")
    assert compared == [sizes if transposed else ((4, 2), (1, 3, 1, 3), (1, 3), "same")]


def test_warns_where_the_layer_is_wrong_here(rng):
    """And nowhere else: as TensorFlow computes in this process."""
    x = tf.convert_to_tensor(rng.normal(size=(1, 4, 2, 1)).astype(np.float32))
    model = strided(False)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        check_answer(model, read_model(model), [x])
    about = [each for each in said if "wrongly" in str(each.message)]
    assert len(about) == runtime.has_wrong_convolutions()
