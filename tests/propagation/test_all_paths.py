"""Mass of all paths in machine code, beside the same in TensorFlow, for every kind of step."""

import numpy as np
import pytest
import tensorflow as tf
import threadpoolctl

from keras_backtrack.graph.compat import keras
from keras_backtrack.propagation.all_paths.all_paths import AllPaths
from keras_backtrack.propagation.all_paths.maps import Maps
from keras_backtrack.propagation.kernels import parallel, products
from keras_backtrack.propagation.paths import Batch
from keras_backtrack.rules import Rules, read_model

layers = keras.layers
PICTURE = (7, 6, 4)


def of(*own, shape=PICTURE):
    def build():
        inputs = keras.Input(shape)
        h = inputs
        for layer in own:
            h = layer(h)
        return keras.Model(inputs, h)

    return build


def branches(join, *own):
    def build():
        inputs = keras.Input(PICTURE)
        return keras.Model(inputs, join([layer(inputs) for layer in own]))

    return build


def doubled(layer):
    """A sum that is read twice, once with its sides turned round."""

    def build():
        inputs = keras.Input(PICTURE)
        h = layer(inputs)
        return keras.Model(inputs, layers.Add()([h, layers.BatchNormalization()(h)]))

    return build


STEPS = {
    "dense on places": of(layers.Dense(5)),
    "dense": of(layers.Flatten(), layers.Dense(70), layers.Dense(3)),
    "dense on a sequence": of(layers.Dense(5), shape=(9, 4)),
    "1 x 1": of(layers.Conv2D(5, 1)),
    "strided": of(layers.Conv2D(5, 1, strides=2), layers.Conv2D(3, 3, 2, padding="same")),
    "dilated": of(layers.Conv2D(5, 3, dilation_rate=2, padding="same")),
    "grouped": of(layers.Conv2D(6, 3, groups=2), layers.ReLU(), layers.Conv2D(6, 1, groups=3)),
    "transposed": of(layers.Conv2DTranspose(3, 3, strides=2, padding="same")),
    "1-D, causal": of(layers.Conv1D(5, 3, padding="causal"), shape=(9, 4)),
    "3-D": of(layers.Conv3D(3, 2), shape=(4, 5, 4, 2)),
    "depthwise": of(layers.DepthwiseConv2D(3, padding="same")),
    "depthwise, two each": of(layers.DepthwiseConv2D(3, 2, depth_multiplier=2)),
    "average": of(layers.AveragePooling2D(3, 2, padding="same")),
    "global average": of(layers.GlobalAveragePooling2D()),
    "maximum": of(layers.MaxPooling2D(3, 2, padding="same")),
    "global maximum": of(layers.GlobalMaxPooling2D()),
    "padding and cropping": of(layers.ZeroPadding2D(((1, 2), (0, 1))), layers.Cropping2D(1)),
    "permuted": of(layers.Permute((3, 1, 2)), layers.ReLU()),
    "normalised": of(layers.Conv2D(5, 3), layers.BatchNormalization(), layers.ReLU()),
    "normalised alone": of(layers.ReLU(), layers.BatchNormalization()),
    "normalised depthwise": of(layers.DepthwiseConv2D(3), layers.BatchNormalization()),
    "normalised dense": of(layers.Flatten(), layers.Dense(6), layers.BatchNormalization()),
    "read twice": doubled(layers.Conv2D(4, 3, padding="same")),
    "added": branches(layers.Add(), layers.Conv2D(4, 1), layers.ReLU()),
    "subtracted": branches(layers.Subtract(), layers.Conv2D(4, 1), layers.ReLU()),
    "added by channel": branches(
        layers.Add(), layers.ReLU(), layers.GlobalAveragePooling2D(keepdims=True)
    ),
    "multiplied": branches(layers.Multiply(), layers.Conv2D(4, 1), layers.Conv2D(4, 1)),
    "side by side": branches(layers.Concatenate(), layers.Conv2D(3, 1), layers.ReLU()),
    "one above the other": branches(layers.Concatenate(axis=1), layers.Conv2D(4, 1), layers.ReLU()),
}


def spread_both(build, rng, low, signed=True):
    """By both ways the mass in every tensor, and what ended: three explanations of two images."""
    model = build()
    for weight in model.weights:
        values = rng.normal(size=weight.shape)
        weight.assign(abs(values) + 0.1 if "variance" in weight.name else values)
    graph, rules = read_model(model), Rules(None)
    x = tf.constant(rng.normal(size=(2, *model.input_shape[1:])), tf.float32)
    tensors = graph.replay([x])
    arrays = {n: t.numpy() for n, t in tensors.items()}
    sizes = {n: a.shape[1:] for n, a in arrays.items()}
    batch = Batch(arrays, tensors, sizes, 2, np.array([1, 0, 1]))
    high = rng.normal(size=(3, arrays[graph.output][0].size)).astype(np.float32)
    high[0, :2] = 0
    high = high if signed else abs(high)
    roots = {graph.output: Maps(high, rng.permuted(high) if low else high[:0])}
    paths = AllPaths(graph, rules, list(graph.names), is_signed=True)
    assert paths._native((graph.output,)).serves
    return paths.spread(batch, roots), paths._in_tensorflow(batch, roots)


def assert_same(found, expected, signed=True):
    (held, lost, _), (others, also_lost, _) = found, expected
    assert held.keys() == others.keys()
    for number, maps in held.items():
        pairs = (maps.high, others[number].high), (maps.full_low, others[number].full_low)
        for one, other in pairs:
            np.testing.assert_allclose(one, other, 1e-3, 1e-5)
    if not signed:  # In TensorFlow mass below 0 is not counted where it ends.
        np.testing.assert_allclose(lost, also_lost, 1e-3, 1e-4)


@pytest.mark.parametrize(("low", "signed"), [(False, True), (True, False)])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_in_machine_code_is_the_same_in_tensorflow(step, low, signed, rng):
    assert_same(*spread_both(STEPS[step], rng, low, signed), signed)


@pytest.mark.parametrize("step", ["grouped", "strided", "dense", "depthwise", "maximum"])
def test_in_parts_and_by_several_threads(step, rng, monkeypatch):
    monkeypatch.setattr(products, "_AT_ONCE", 50)
    monkeypatch.setattr(products, "_GRAIN", 1)
    monkeypatch.setattr(parallel, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(parallel, "threads", lambda: 3)
    assert_same(*spread_both(STEPS[step], rng, True))


def test_what_overflows_is_lost_and_no_number(rng):
    build = of(layers.Conv2D(2, 1, use_bias=False))
    model = build()
    model.layers[1].set_weights([np.full((1, 1, 4, 2), 3e38, np.float32)])
    graph = read_model(model)
    x = tf.fill([1, *PICTURE], 10.0)
    tensors = graph.replay([x])
    arrays = {n: t.numpy() for n, t in tensors.items()}
    sizes = {n: a.shape[1:] for n, a in arrays.items()}
    high = np.ones((1, arrays[graph.output][0].size), np.float32)
    batch = Batch(arrays, tensors, sizes, 1, np.array([0]))
    _, lost, _ = AllPaths(graph, Rules(None)).spread(batch, {graph.output: Maps(high, high[:0])})
    assert np.isnan(lost).all()


def test_numpy_has_its_threads_back_when_the_last_is_out():
    def counts():
        return [
            lib["num_threads"]
            for lib in threadpoolctl.threadpool_info()
            if lib["user_api"] == "blas"
        ]

    before = counts()
    with parallel.own_threads:
        with parallel.own_threads:
            assert set(counts()) <= {1}
        assert set(counts()) <= {1}
    assert counts() == before
