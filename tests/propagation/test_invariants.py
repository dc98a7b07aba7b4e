"""What must hold on any network, with no oracle."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


def network(size=(16, 14, 3)):
    image = keras.Input(size)
    x = layers.Conv2D(6, 3, padding="same", activation="swish")(image)
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.MaxPooling2D(2)(layers.Add()([x, y]))
    x = layers.Conv2D(8, 3, activation="relu")(x)
    x = layers.Dense(7, activation="tanh")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(4, activation="softmax")(x))


def assert_same(a, b):
    assert len(a) == len(b)
    np.testing.assert_array_equal(a.targets, b.targets)
    for i in range(len(a)):
        np.testing.assert_array_equal(a.pixels[i], b.pixels[i])
        np.testing.assert_allclose(a.mass[i], b.mass[i], atol=1e-6)


METHODS = ["viterbi", "posterior", "backtrack"]
both_questions = pytest.mark.parametrize("contrast", [False, True])


@both_questions
@pytest.mark.parametrize("method", METHODS)
def test_mass_and_lost_make_one(method, contrast, rng):
    explainer = BacktrackExplainer(network(), 20, 2, 2, method=method, contrast=contrast)
    e = explainer.explain(rng.normal(size=(5, 16, 14, 3)))
    for i in range(5):
        assert abs(e.mass[i].sum() + e.lost[i] - 1) < 1e-4


def test_posterior_loses_nothing_where_everything_contributes(rng):
    image = keras.Input((12, 12, 3))
    x = layers.ZeroPadding2D(1)(layers.Conv2D(8, 3)(image))
    x = layers.Add()([x, layers.Conv2D(8, 3, padding="same")(x)])
    x = layers.Concatenate()([layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(x)])
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.UpSampling2D(2)(x))))
    model.set_weights([abs(weight) for weight in model.get_weights()])
    pictures = rng.uniform(0.1, 1, size=(2, 12, 12, 3)).astype(np.float32)
    e = BacktrackExplainer(model, method="posterior", contrast=False).explain(pictures)
    np.testing.assert_allclose([mass.sum() for mass in e.mass], 1, atol=1e-4)
    np.testing.assert_allclose(e.lost, 0, atol=1e-4)


def test_posterior_is_excitation_backprop_in_a_network_of_relus(rng):
    """Written from the paper: P(a_j) = Σ_i P(a_i) · a_j w⁺_ji / Σ_j' a_j' w⁺_j'i."""
    image = keras.Input((9, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu")(image)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(7, activation="relu")(layers.Flatten()(x))
    model = keras.Model(image, layers.Dense(4)(x))
    picture = rng.uniform(size=(1, 9, 8, 3)).astype("float32")
    e = BacktrackExplainer(model, method="posterior", contrast=False).explain(picture, 2)

    _, conv, pool, _, hidden, head = model.layers
    maps = conv(picture).numpy()[0]
    flat = pool(maps[None]).numpy().reshape(-1)
    active = hidden(flat[None]).numpy()[0]

    def back(mass, values, kernel):
        contributions = values[:, None] * np.maximum(kernel, 0)
        total = contributions.sum(axis=0)
        share = np.divide(mass, total, out=np.zeros_like(total), where=total > 0)
        return contributions @ share

    mass = back(np.eye(4, dtype="f")[2], active, head.kernel.numpy())
    mass = back(mass, flat, hidden.kernel.numpy()).reshape(3, 3, 6)
    pixels = np.zeros((9, 8, 3))
    for row, column, channel in np.argwhere(mass > 0):
        window = maps[2 * row : 2 * row + 2, 2 * column : 2 * column + 2, channel]
        r, c = np.unravel_index(window.argmax(), window.shape)
        r, c = r + 2 * row, c + 2 * column
        field = picture[0, r : r + 3, c : c + 3] * np.maximum(conv.kernel.numpy()[..., channel], 0)
        pixels[r : r + 3, c : c + 3] += mass[row, column, channel] * field / field.sum()
    found = np.zeros((9, 8))
    found[tuple(e.pixels[0].T)] = e.mass[0]
    np.testing.assert_allclose(found, pixels.sum(axis=-1), atol=1e-6)


@both_questions
@pytest.mark.parametrize("method", METHODS)
def test_batch_equals_singles_and_any_batch_size(method, contrast, rng):
    explainer = BacktrackExplainer(network(), method=method, contrast=contrast)
    x = rng.normal(size=(5, 16, 14, 3))
    targets = [[0, 1], [1, 2], [2, 3], [3, 0], [0, 2]]
    together = explainer.explain(x, targets)
    assert_same(together, explainer.explain(x, targets, batch_size=2))
    for i in range(5):
        assert_same(together[2 * i : 2 * i + 2], explainer.explain(x[i], [targets[i]]))
    assert explainer._program.traces == 1


@pytest.mark.slow
def test_same_again_and_with_one_thread(rng, tmp_path):
    """Threads can only be set before TensorFlow starts, so another process does the second run."""
    import subprocess
    import sys

    model = network()
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", rng.normal(size=(3, 16, 14, 3)))
    results = []
    for threads in ("1", "2", "2"):
        code = (
            "import sys, numpy as np, tensorflow as tf\n"
            "tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[2]))\n"
            "from keras_backtrack import BacktrackExplainer\n"
            "from keras_backtrack.graph.compat import keras\n"
            "model = keras.models.load_model(sys.argv[1] + '/model.keras', compile=False)\n"
            "e = BacktrackExplainer(model, channels=2).explain(np.load(sys.argv[1] + '/x.npy'))\n"
            "e.save(sys.argv[1] + '/' + sys.argv[3])\n"
        )
        name = f"{len(results)}.json"
        subprocess.run([sys.executable, "-c", code, str(tmp_path), threads, name], check=True)
        results.append((tmp_path / name).read_text())
    assert results[0] == results[1] == results[2]


def test_nested_equals_flat(rng):
    flat = network()
    inner = keras.models.clone_model(flat)
    inner.set_weights(flat.get_weights())
    image = keras.Input((16, 14, 3))
    nested = keras.Model(image, keras.Sequential([keras.Input((16, 14, 3)), inner])(image))
    x = rng.normal(size=(2, 16, 14, 3))
    assert_same(BacktrackExplainer(flat).explain(x), BacktrackExplainer(nested).explain(x))


def test_translation_moves_the_pixels(rng):
    image = keras.Input((20, 20, 2))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(5, 3, activation="relu")(x))
    explainer = BacktrackExplainer(keras.Model(image, x), channels=2, positions=2)
    patch = rng.random((6, 6, 2))
    x = np.zeros((2, 20, 20, 2))
    x[0, 5:11, 5:11] = patch
    x[1, 8:14, 7:13] = patch
    e = explainer.explain(x, 3)
    assert len(e.pixels[0]) > 0
    np.testing.assert_array_equal(e.pixels[0] + [3, 2], e.pixels[1])


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_max_pooling_chooses_where_its_gradient_is(padding, rng):
    image = keras.Input((9, 9, 2))
    pooled = layers.MaxPooling2D(3, 2, padding=padding)(image)
    model = keras.Model(image, layers.Flatten()(pooled))
    x = tf.constant(rng.normal(size=(1, 9, 9, 2)), tf.float32)
    explainer = BacktrackExplainer(model, method="viterbi", contrast=False)
    for target in range(model.output_shape[-1]):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)[0, target]
        (place,) = np.argwhere(tape.gradient(y, x)[0])
        e = explainer.explain(x, target)
        np.testing.assert_array_equal(e.nodes(explainer._graph.names[0])[0], [place])


def relu_network(between=lambda x: x):
    keras.utils.set_random_seed(3)
    image = keras.Input((12, 11, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(image)
    x = between(x)
    x = layers.MaxPooling2D(2, name="pool")(layers.Conv2D(6, 3, activation="relu")(x))
    return keras.Model(image, layers.Dense(4)(layers.Flatten()(x)))


@both_questions
@pytest.mark.parametrize("method", METHODS)
def test_a_relu_network_only_asks_why_units_are_high(method, contrast, rng):
    model = relu_network()
    names = [model.inputs[0].name.split(":")[0], *(layer.name for layer in model.layers[1:])]
    if contrast:
        # Above the last map there are no nodes.
        names = names[: names.index("pool") + 1]
    settings = {"method": method, "contrast": contrast, "layers": names}
    e = BacktrackExplainer(model, None, None, None, **settings)
    e = e.explain(rng.random((3, 12, 11, 3)))
    assert e.layers[: len(names) - 1] == names[1:]
    assert all((sign == 1).all() for name in names for sign in e.nodes(name).sign)


@both_questions
@pytest.mark.parametrize("method", METHODS)
def test_turning_twice_changes_nothing(method, contrast, rng):
    turned = relu_network(lambda x: layers.Rescaling(-1.0)(x * -1.0))
    x = rng.normal(size=(3, 12, 11, 3))
    settings = {"method": method, "contrast": contrast}
    e, other = (BacktrackExplainer(m, **settings).explain(x) for m in (relu_network(), turned))
    assert_same(e, other)


class Subclassed(keras.Model):
    """A network written out in `call`, with a block of layers inside."""

    def __init__(self):
        super().__init__()
        self.block = keras.Sequential([layers.Conv2D(5, 3, activation="swish", padding="same")])
        self.flatten = layers.Flatten()
        self.head = layers.Dense(4)

    def call(self, x, training=None):
        x = self.block(x)
        return self.head(self.flatten(x * 2.0 + x))


@pytest.mark.parametrize("method", METHODS)
def test_subclassed_equals_functional(method, rng):
    model = Subclassed()
    x = rng.normal(size=(2, 9, 8, 3)).astype(np.float32)
    model(x)
    image = keras.Input((9, 8, 3))
    y = model.block(image)
    functional = keras.Model(image, model.head(model.flatten(y * 2.0 + y)))
    nodes = len(model.head._inbound_nodes)
    e = BacktrackExplainer(model, method=method).explain(x, 1)
    assert_same(e, BacktrackExplainer(functional, method=method).explain(x, 1))
    assert len(model.head._inbound_nodes) == nodes


def set_weights(model):
    weights = zip(model.get_weights(), model.weights, strict=True)
    model.set_weights([w if "variance" in v.name else -w for w, v in weights])


def assign(model):
    for weight in model.trainable_weights:
        weight.assign(weight * -0.5)


def add_in_place(model):
    for weight in model.trainable_weights:
        weight.assign_add(tf.ones(weight.shape))


def train(model):
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(np.ones((2, 16, 14, 3)), np.ones((2, 4)))


@pytest.mark.parametrize("change", [set_weights, assign, add_in_place, train])
def test_weights_are_read_at_every_call(change, rng):
    model = network()
    explainer, x = BacktrackExplainer(model), rng.normal(size=(1, 16, 14, 3))
    before = explainer.explain(x, 0)
    for _ in range(2):
        change(model)
        after = explainer.explain(x, 0)
        assert_same(after, BacktrackExplainer(model).explain(x, 0))
        assert before.scores != after.scores
        before = after


class Doubled(layers.Layer):
    """Works something out from a variable before it touches its input."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")
        self.built = True

    def call(self, x):
        return x * (self.factor + self.factor)


def test_weights_are_read_again_where_layers_were_recorded(rng):
    signal = keras.Input((5, 3))
    x = layers.Conv1D(4, 2)(Doubled()(signal))
    x = layers.GRU(4, bias_initializer="ones")(x)
    model = keras.Model(signal, layers.Dense(2)(x))
    explainer, x = BacktrackExplainer(model), rng.normal(size=(2, 5, 3))
    explainer.explain(x, 0)
    for weight in model.weights:
        weight.assign(weight * -0.7)
    after = explainer.explain(x, 0)
    np.testing.assert_allclose(after.scores, model.predict(x, verbose=0)[:, 0], rtol=1e-4)
    assert_same(after, BacktrackExplainer(model).explain(x, 0))
