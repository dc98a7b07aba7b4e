"""Axes folded into the batch and back: frames of a video, windows of attention."""

import numpy as np
import pytest
import tensorflow as tf
from networks import assert_equals_reference, images, layers, randomise
from sequence_networks import flip, mean, split, transpose

from keras_backtrack import BacktrackExplainer, UnsupportedModelError
from keras_backtrack.graph.compat import KERAS_3, keras
from keras_backtrack.propagation.limits import Limits
from keras_backtrack.rules import read_model

ops = keras.ops if KERAS_3 else tf
concatenate = getattr(ops, "concatenate", tf.concat)
all_methods = pytest.mark.parametrize("method", ["viterbi", "posterior", "backtrack"])


def frames(x):
    """A CNN over each frame, then the sequence."""
    y = ops.reshape(x, (-1, 4, 4, 2))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(y)
    y = layers.BatchNormalization()(y)
    y = layers.DepthwiseConv2D(2)(layers.MaxPooling2D(2, strides=1)(y))
    y = layers.GlobalAveragePooling2D()(layers.ReLU()(y))
    return layers.GlobalAveragePooling1D()(ops.reshape(y, (-1, 2, 4)))


def recurrent_inside(x):
    """Each row of pixels of each frame is a sequence."""
    y = layers.GRU(3)(ops.reshape(x, (-1, 4, 2)))
    return layers.Flatten()(ops.reshape(y, (-1, 2, 4, 3)))


def twice(x):
    """Folded, folded once more, and back in two steps."""
    y = layers.Dense(4, activation="relu")(ops.reshape(x, (-1, 4, 4, 2)))
    y = layers.Conv1D(4, 2)(ops.reshape(y, (-1, 4, 4)))
    y = ops.reshape(layers.GlobalMaxPooling1D()(y), (-1, 4, 4))
    return layers.Flatten()(ops.reshape(layers.Conv1D(3, 2)(y), (-1, 2, 3, 3)))


def gated(x):
    """Joined, weighed and moved while folded."""
    y = layers.Conv2D(4, 1)(ops.reshape(x, (-1, 4, 4, 2)))
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    y = layers.Add()([layers.Multiply()([y, gate]), flip(y, 1)])
    y = concatenate([y[:, ::2], -y[:, 1::2]], -1)
    return layers.Flatten()(ops.reshape(mean(y, (1, 2)), (-1, 2, 8)))


def per_frame(x):
    """A decision for each frame."""
    y = layers.Conv2D(4, 3, activation="relu")(ops.reshape(x, (-1, 4, 4, 2)))
    y = layers.Dense(5)(layers.Flatten()(y))
    return ops.reshape(y, (-1, 2, 5))


class Windows(layers.Layer):
    """Attention within windows, shifted or not, as of Swin; sizes are asked for."""

    def __init__(self, shift):
        super().__init__()
        self.shift = shift
        self.attention = layers.MultiHeadAttention(2, 3)

    def build(self, shape):
        if KERAS_3:
            self.attention.build((None, 4, shape[-1]), (None, 4, shape[-1]))
        self.built = True

    def call(self, x):
        batch, height, width, channels = ops.shape(x) if KERAS_3 else tf.unstack(tf.shape(x))
        rows, columns = height // 2, width // 2
        y = ops.roll(x, (-self.shift, -self.shift), (1, 2))
        y = ops.reshape(y, (batch, rows, 2, columns, 2, channels))
        y = ops.reshape(transpose(y, (0, 1, 3, 2, 4, 5)), (-1, 4, channels))
        token = ops.broadcast_to(ops.ones((1, 1, channels)), (ops.shape(y)[0], 1, channels))
        y = concatenate([token, y], 1)
        y = self.attention(y, y)[:, 1:]
        y = ops.reshape(y, (batch, rows, columns, 2, 2, channels))
        y = ops.reshape(transpose(y, (0, 1, 3, 2, 4, 5)), (batch, height, width, channels))
        return x + ops.roll(y, (self.shift, self.shift), (1, 2))


def windows(x):
    y = layers.Permute((2, 3, 1, 4))(x)
    y = layers.Conv2D(4, 1)(layers.Reshape((4, 4, 4))(y))
    y = layers.Dense(4, activation="relu")(Windows(shift=1)(y))
    return layers.GlobalAveragePooling2D()(y)


SLOW = [recurrent_inside, twice, gated]
FOLDED = [frames, windows, *(pytest.param(f, marks=pytest.mark.slow) for f in SLOW)]


def network(function, head=True):
    keras.utils.set_random_seed(1)
    x = keras.Input((2, 4, 4, 2))
    y = function(x)
    model = keras.Model(x, layers.Dense(5)(y) if head else y)
    randomise(model, 2)
    return model


@all_methods
@pytest.mark.parametrize("function", FOLDED)
def test_as_the_reference(function, method):
    model = network(function)
    x = images(model, 2, 0, exact=False)
    limits = None if method == "posterior" else Limits(3, 2, 2, False)
    for contrast in (None, 0.25):
        assert_equals_reference(
            model, x, np.array([[1], [3]]), limits, method=method, contrast=contrast
        )


@pytest.mark.parametrize(
    "method",
    ["viterbi", *(pytest.param(m, marks=pytest.mark.slow) for m in ("posterior", "backtrack"))],
)
def test_a_decision_for_each_frame(method):
    """With and without another one it is told from, in the same frame and in another."""
    model = network(per_frame, head=False)
    x = images(model, 2, 0, exact=False)
    limits = None if method == "posterior" else Limits(3, 2, 2, False)
    units, others = np.array([[1, 7], [8, 3]]), np.array([[2, 4], [5, 9]])
    for versus in (None, others):
        for contrast in (None, 0.25):
            assert_equals_reference(
                model, x, units, limits, versus, method=method, contrast=contrast
            )


@all_methods
def test_evidence_stays_in_its_frame(method):
    model = network(per_frame, head=False)
    x = images(model, 4, 3, exact=False)[0]
    for frame in range(2):
        e = BacktrackExplainer(model, method=method).explain(x, np.full(4, frame))
        for pixels in e.pixels:
            assert len(pixels) and (np.asarray(pixels)[:, 0] == frame).all()


@pytest.mark.parametrize("method", ["viterbi", "posterior"])
def test_folded_as_time_distributed(method):
    """What Keras's own layer does to each frame, by reshapes; and one image as among others."""
    inside = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(4, activation="relu"),
        ]
    )
    x = keras.Input((2, 4, 4, 2))
    head = layers.Dense(5)
    folded = ops.reshape(inside(ops.reshape(x, (-1, 4, 4, 2))), (-1, 8))
    in_time = layers.Flatten()(layers.TimeDistributed(inside)(x))
    models = [keras.Model(x, head(y)) for y in (folded, in_time)]
    randomise(models[0], 4)
    given = np.random.default_rng(0).normal(size=(3, 2, 4, 4, 2)).astype("float32")
    settings = {"method": method, "contrast": False}
    explained = [BacktrackExplainer(m, **settings).explain(given) for m in models]
    one = BacktrackExplainer(models[0], **settings).explain(given[2:])
    np.testing.assert_array_equal(one.pixels[0], explained[0].pixels[2])
    for row in range(3):
        (pixels, mass), (same_pixels, same_mass) = ((e.pixels[row], e.mass[row]) for e in explained)
        np.testing.assert_array_equal(pixels, same_pixels)
        np.testing.assert_allclose(mass, same_mass, atol=1e-5)


def test_shapes_are_of_images():
    graph = read_model(network(frames))
    assert {tuple(graph.specs[n].shape) for n, name in graph.names.items() if "conv" in name} == {
        (None, 2, 4, 4, 4),
        (None, 2, 2, 2, 4),
    }
    sequence = BacktrackExplainer(network(frames))
    assert sequence.explain(np.ones((2, 2, 4, 4, 2), "float32")).nodes


def test_a_fixed_size_of_batch():
    x = keras.Input(batch_shape=(2, 2, 4, 4, 2))
    model = keras.Model(x, layers.Dense(5)(frames(x)))
    e = BacktrackExplainer(model).explain(np.ones((2, 2, 4, 4, 2), "float32"))
    assert e.lost.shape == (2,)


def _mixed(x):
    """Frames of one image come to another's."""
    y = layers.Dense(4)(ops.reshape(x, (-1, 4, 4, 2)))
    y = ops.reshape(flip(y, 0), (-1, 2, 4, 4, 4))
    return layers.Flatten()(y)


def _across(x):
    return layers.Flatten()(layers.Dense(4)(ops.repeat(x, 2, axis=0)))


def _in_time_order(x):
    """Rows of images behind one another for each time."""
    y = ops.reshape(transpose(x, (1, 0, 2, 3, 4)), (-1, 4, 4, 2))
    return layers.Flatten()(layers.Conv2D(4, 3)(y))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_mixed, "a model that mixes images cannot be explained"),
        (_across, "one row for each image"),
        (_in_time_order, "batch axis is not the first"),
    ],
)
def test_models_that_mix_images_are_refused(function, said):
    model = network(function, head=False)
    with pytest.raises(UnsupportedModelError, match=f"{said}(.|\n)*Received: "):
        BacktrackExplainer(model).explain(np.random.default_rng(0).normal(size=(2, 2, 4, 4, 2)))


def test_only_a_reshape_folds():
    def repeated(x):
        y = ops.repeat(ops.reshape(x, (-1, 4, 4, 2)), 2, axis=0)
        return ops.reshape(layers.Conv2D(4, 3)(y), (-1, 64))

    with pytest.raises(
        UnsupportedModelError, match="Only a reshape may fold .* Received: '(tf.)?repeat"
    ):
        BacktrackExplainer(network(repeated))


class InFront(layers.Layer):
    """Queries, keys and values in front of the batch, told apart there; in windows, perhaps."""

    def __init__(self, tell_apart, is_folded=False):
        super().__init__()
        self.tell_apart, self.is_folded = tell_apart, is_folded
        self.inner = layers.Dense(12)

    def build(self, shape):
        self.inner.build((None, *shape[1:]))
        self.built = True

    def call(self, x):
        tokens, channels = x.shape[1:]
        y = self.inner(x)
        if self.is_folded:
            y, tokens = ops.reshape(y, (-1, tokens // 2, 3 * channels)), tokens // 2
        y = ops.reshape(y, (-1, tokens, 3, 2, channels // 2))
        q, k, v = self.tell_apart(transpose(y, (2, 0, 3, 1, 4)))
        weights = tf.nn.softmax(ops.matmul(q, transpose(k, (0, 1, 3, 2))))
        y = transpose(ops.matmul(weights, v), (0, 2, 1, 3))
        return x + ops.reshape(y, (-1, *x.shape[1:]))

    def compute_output_shape(self, shape):
        return shape


APART = {
    "unstacked": lambda y: ops.unstack(y, axis=0),
    "taken": lambda y: [y[i] for i in range(3)],
    "split": lambda y: [ops.squeeze(part, 0) for part in split(y, 3, 0)],
}


@all_methods
@pytest.mark.parametrize(
    ("apart", "is_folded"),
    [
        ("unstacked", True),
        pytest.param("taken", False, marks=pytest.mark.slow),
        pytest.param("split", True, marks=pytest.mark.slow),
    ],
)
def test_what_is_in_front_of_the_batch(apart, is_folded, method):
    keras.utils.set_random_seed(1)
    x = keras.Input((4, 4))
    y = layers.Dense(4, activation="relu")(InFront(APART[apart], is_folded)(x))
    model = keras.Model(x, layers.Dense(5)(layers.Flatten()(y)))
    randomise(model, 2)
    x = images(model, 2, 0, exact=False)
    limits = None if method == "posterior" else Limits(3, 2, 2, False)
    for contrast in (None, 0.25):
        assert_equals_reference(
            model, x, np.array([[1], [3]]), limits, method=method, contrast=contrast
        )


def test_nothing_is_computed_of_what_is_in_front_of_the_batch():
    def bent(x):
        return layers.Flatten()(transpose(ops.tanh(transpose(x, (1, 0, 2, 3, 4))), (1, 0, 2, 3, 4)))

    with pytest.raises(UnsupportedModelError, match="batch axis is not the first(.|\n)*Received: "):
        BacktrackExplainer(network(bent))
