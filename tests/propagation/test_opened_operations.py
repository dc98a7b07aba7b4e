"""Bare operations that are looked into, as layers are, or have rules of order and of sums."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers
from propagation.compared import assert_right

from keras_backtrack import BacktrackExplainer, UnsupportedLayerError
from keras_backtrack.graph.compat import KERAS_3, keras

pytestmark = pytest.mark.skipif(not KERAS_3, reason="operations of Keras 3")
ops = keras.ops if KERAS_3 else None
METHODS = ["viterbi", "posterior", "backtrack"]
all_methods = pytest.mark.parametrize("method", METHODS)
mostly_slow = pytest.mark.parametrize(
    "method", [*(pytest.param(m, marks=pytest.mark.slow) for m in METHODS[:2]), METHODS[2]]
)


def numbers(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


class Standardised(layers.Conv2D):
    """Pads by itself, with a kernel that it computes, and asks for sizes."""

    def call(self, x):
        kernel = ops.convert_to_tensor(self.kernel)
        mean, variance = ops.moments(kernel, axes=[0, 1, 2], keepdims=True)
        x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        x = ops.reshape(x, (ops.shape(x)[0], *x.shape[1:]))
        kernel = (kernel - mean) * ops.rsqrt(variance + 1e-5)
        return ops.conv(x, kernel, self.strides, "valid") + self.bias

    def compute_output_shape(self, shape):
        return super().compute_output_shape((shape[0], shape[1] + 2, shape[2] + 2, shape[3]))


ORDER = {
    "the largest": lambda x: ops.top_k(x, 2)[0],
    "taken": lambda x: ops.take_along_axis(x, ops.argsort(x, axis=-1)[..., 1:3], axis=-1),
    "sorted": lambda x: ops.sort(x, axis=1),
    "chosen class": lambda x: x * ops.one_hot(ops.argmax(x, axis=-1), x.shape[-1]),
    "padded": lambda x: ops.max_pool(
        ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=-1e9), 3, 2
    ),
    "patches": lambda x: ops.image.extract_patches(x, (2, 2)),
    "overwritten": lambda x: ops.slice_update(x, (0, 1, 1, 0), numbers(1, 2, 2, 4)),
}
SUMS = {
    "running": lambda x: ops.cumsum(x, axis=1),
    "dot": lambda x: ops.dot(x, numbers(4, 5)),
    "tensordot": lambda x: ops.tensordot(x, numbers(5, 4, 3), axes=[[2, 3], [0, 1]]),
    "dots": lambda x: ops.einsum("...c,cd->...d", x, numbers(4, 3)),
    "alone": lambda x: ops.einsum("bhwc->bch", x),
    "length": lambda x: ops.norm(x, axis=-1),
    "logsumexp": lambda x: ops.logsumexp(x, axis=(1, 2)),
    "deviation": lambda x: ops.std(x, axis=1),
    "normalised": lambda x: ops.layer_normalization(x, gamma=numbers(4), beta=numbers(4)),
    "computed kernel": lambda x: Standardised(4, 3, groups=2)(x),
    "proportions": lambda x: layers.Resizing(4, 4, crop_to_aspect_ratio=True)(x),
    "cubic": lambda x: layers.UpSampling2D(2, interpolation="bicubic")(x),
}
WAVES = {
    "pictures": lambda x: ops.fft2((x, ops.zeros_like(x)))[0],
    "half": lambda x: ops.sqrt(sum(ops.square(part) for part in ops.rfft(x)) + 1e-3),
    "back": lambda x: ops.irfft((x, ops.flip(x, 1)), 6),
    "sine": lambda x: ops.sin(3.0 * x),
}


def network(*functions):
    """One function each, side by side."""
    keras.utils.set_random_seed(3)
    image = keras.Input((4, 5, 3))
    x = layers.Conv2D(4, 1)(image)
    found = [layers.Flatten()(function(x)) for function in functions]
    found = layers.Concatenate()(found) if len(found) > 1 else found[0]
    return keras.Model(image, layers.Dense(3)(found))


SOME = [ORDER["the largest"], SUMS["running"], WAVES["sine"]]


@pytest.mark.slow
@pytest.mark.parametrize("made", [ORDER, SUMS, WAVES], ids=["order", "sums", "waves"])
def test_they_are_followed_as_the_reference_does(made, rng, plain_graphs):
    model = network(*made.values())
    assert_right(model, rng.normal(size=(1, 4, 5, 3)).astype(np.float32), "backtrack", 1e-4)


@mostly_slow
def test_some_are_followed_as_the_reference_does(method, rng, plain_graphs):
    model = network(*SOME)
    assert_right(model, rng.normal(size=(1, 4, 5, 3)).astype(np.float32), method, 1e-4)


def mass_of(function, x, shape, target=0, method="posterior"):
    """Mass in each unit of the input of a function alone in a model."""
    vector = keras.Input(shape, name="vector")
    outputs = layers.Flatten()(function(vector))
    explainer = BacktrackExplainer(keras.Model(vector, outputs), method=method, contrast=False)
    e = explainer.explain(np.asarray(x, np.float32)[None], target, side="high")
    found = np.zeros(shape, np.float32)
    nodes = e.nodes("vector")
    np.add.at(found, tuple(nodes[0].T), nodes.mass[0])
    return found, e.lost[0]


def in_proportion(contributions):
    positive = np.maximum(contributions, 0)
    return positive / positive.sum()


X = [0.5, -1.0, 2.0, 1.5, -0.25, 3.0]


@pytest.mark.parametrize(
    ("function", "contributions"),
    [
        (lambda x: ops.fft((x, ops.zeros_like(x)))[0], np.cos(2 * np.pi * np.arange(6) / 6) * X),
        (lambda x: ops.fft((x, ops.zeros_like(x)))[1], -np.sin(2 * np.pi * np.arange(6) / 6) * X),
        (lambda x: ops.norm(x, axis=-1, keepdims=True) + 0 * x, np.square(X)),
        (lambda x: ops.logsumexp(x, axis=-1, keepdims=True) + 0 * x, None),
        (lambda x: ops.cumsum(x, axis=1), [0.5, -1, 0, 0, 0, 0]),
        (lambda x: ops.top_k(x, 3)[0], [0, 0, 1, 0, 0, 0]),
        (lambda x: ops.take_along_axis(x, ops.argsort(x, axis=-1), axis=-1), [0, 0, 0, 0, 1, 0]),
        (lambda x: ops.roll(x * ops.one_hot(ops.argmax(x, -1), 6), 2, 1), [0, 0, 0, 0, 0, 1]),
    ],
    ids=["real", "imaginary", "norm", "logsumexp", "cumsum", "top_k", "argsort", "argmax"],
)
def test_right_values(function, contributions):
    """Of the second unit."""
    if contributions is None:
        contributions = np.exp(X)
    found, lost = mass_of(function, X, (6,), 1)
    np.testing.assert_allclose(found, in_proportion(np.array(contributions)), atol=1e-6)
    np.testing.assert_allclose(lost, 0, atol=1e-6)


@all_methods
def test_where_something_is_is_nobody_s_number(method):
    """The mass that gets there is lost, and said to be."""
    vector = keras.Input((2, 6))
    where = ops.cast(ops.argmax(vector, -1), "float32")
    explainer = BacktrackExplainer(keras.Model(vector, where), method=method, contrast=False)
    e = explainer.explain(np.float32([[X, X[::-1]]]), 1)
    assert e.lost[0] == 1 and len(e.pixels[0]) == 0


def test_a_constant_beside_is_no_unit(rng):
    """However it is like the number of a place."""
    vector = keras.Input((6,))
    padded = ops.pad(vector, [[0, 0], [2, 0]], constant_values=3.0)
    explainer = BacktrackExplainer(keras.Model(vector, padded), method="viterbi", contrast=False)
    e = explainer.explain(np.float32([X]), [[0, 4]], side="high")
    assert e.lost.tolist() == [1, 0]
    assert [pixels.tolist() for pixels in e.pixels] == [[], [[2]]]


@pytest.mark.parametrize("sizes", [(4, 6), (6, 4)])
def test_a_condition_on_sizes_is_no_question(sizes, rng):
    image = keras.Input((*sizes, 2))
    x = layers.Resizing(5, 5, pad_to_aspect_ratio=True)(image)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    x = rng.normal(size=(1, *sizes, 2)).astype(np.float32)
    e = BacktrackExplainer(model, method="posterior", contrast=False).explain(x)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0).max(-1), rtol=1e-4)


def test_a_condition_on_numbers_is_refused():
    class Either(layers.Layer):
        def call(self, x):
            return tf.cond(tf.reduce_sum(x) > 0, lambda: x, lambda: -x)

    x = keras.Input((3,))
    with pytest.raises(UnsupportedLayerError, match=r"in one piece .*If \(line "):
        BacktrackExplainer(keras.Model(x, layers.Dense(2)(Either()(x))))


class Mixing(layers.Layer):
    """FNet's: the real part of a transform over the sequence and its features."""

    def call(self, x):
        return tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64)))


class Filtered(layers.Layer):
    """A global filter: learned complex numbers for each frequency."""

    def build(self, shape):
        self.filter = self.add_weight(name="filter", shape=(*shape[1:], 2))

    def call(self, x):
        frequencies = tf.signal.fft(tf.cast(x, tf.complex64))
        real, imaginary = tf.unstack(tf.convert_to_tensor(self.filter), axis=-1)
        return tf.math.real(tf.signal.ifft(frequencies * tf.complex(real, imaginary)))


@pytest.mark.parametrize("length", [5, pytest.param(None, marks=pytest.mark.slow)])
def test_transforms_in_layers(length, rng):
    tokens = keras.Input((length, 6))
    x = tokens + Mixing()(tokens)
    x = Filtered()(x) if length else x
    model = keras.Model(tokens, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    values = rng.normal(size=(2, 5, 6)).astype(np.float32)
    explainer = BacktrackExplainer(model)
    for factor in (1.0, -0.5):
        # A filter that has changed is read anew.
        model.set_weights([factor * w for w in model.get_weights()])
        e = explainer.explain(values)
        np.testing.assert_allclose(e.scores, model.predict(values, verbose=0).max(-1), rtol=1e-4)
        np.testing.assert_allclose([sum(m) for m in e.mass] + e.lost, 1, atol=1e-5)


@mostly_slow
def test_an_adapter_of_a_convolution_is_part_of_its_kernel(method, rng):
    image = keras.Input((6, 7, 3))
    conv = layers.Conv2D(4, 3, activation="relu")
    conv.build((None, 6, 7, 3))
    conv.enable_lora(2)
    conv.lora_kernel_b.assign(rng.normal(size=conv.lora_kernel_b.shape))
    head = layers.Dense(3)
    model = keras.Model(image, head(layers.Flatten()(conv(image))))
    merged = layers.Conv2D(4, 3, activation="relu")
    plain = keras.Model(image, head(layers.Flatten()(merged(image))))
    merged.set_weights([np.asarray(conv.kernel), np.asarray(conv.bias)])
    x = rng.normal(size=(2, 6, 7, 3)).astype(np.float32)
    found, want = (BacktrackExplainer(m, method=method).explain(x, 1) for m in (model, plain))
    for i in range(2):
        np.testing.assert_array_equal(found.pixels[i], want.pixels[i])
        np.testing.assert_allclose(found.mass[i], want.mass[i], atol=1e-5)
