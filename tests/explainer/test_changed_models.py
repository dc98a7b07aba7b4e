"""Models that are changed after they were explained, or that answer otherwise than they seem to."""

import numpy as np
import pytest
import tensorflow as tf
from same import assert_same

from keras_backtrack import BacktrackExplainer, UnsupportedModelError
from keras_backtrack.graph.compat import KERAS_3, keras

layers = keras.layers
only_keras_3 = pytest.mark.skipif(not KERAS_3, reason="Keras 2.15 has no such thing")


class Scaled(layers.Layer):
    """A layer with a number of its author's, which is no weight."""

    def __init__(self):
        super().__init__()
        self.factor = 1.0

    def call(self, x):
        return x * self.factor


def sequential():
    keras.utils.set_random_seed(1)
    parts = [layers.Conv2D(4, 3, activation="relu"), Scaled(), layers.Flatten()]
    return keras.Sequential([keras.Input((7, 6, 2)), *parts, layers.Dense(6), layers.Dense(4)])


def np_of(*tensors):
    return [np.asarray(tensor) for tensor in tensors]


def add(model):
    model.add(layers.Dense(4, kernel_initializer="glorot_normal"))


def pop(model):
    model.pop()


def other_activation(model):
    model.layers[0].activation = keras.activations.tanh


def other_number(model):
    model.layers[1].factor = -2.0


def other_activation_later(model):
    model.layers[-2].activation = keras.activations.sigmoid


@pytest.mark.parametrize(
    "change", [add, pop, other_activation, other_number, other_activation_later]
)
def test_a_changed_model_is_read_anew(change, rng):
    model, x = sequential(), rng.normal(size=(2, 7, 6, 2)).astype(np.float32)
    explainer = BacktrackExplainer(model, method="viterbi", contrast=False)
    before, prepared = explainer.explain(x, 1), explainer.prepare(x)
    change(model)
    with pytest.raises(RuntimeError, match=r"layers: prepare them.*Received"):
        prepared.explain(1)
    e = explainer.explain(x, 1)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 1], rtol=1e-5)
    assert not np.allclose(e.scores, before.scores)
    assert_same(e, BacktrackExplainer(model, method="viterbi", contrast=False).explain(x, 1))


def test_a_model_that_trains_is_not_read_anew(rng):
    keras.utils.set_random_seed(1)
    image = keras.Input((7, 6, 2))
    h = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Conv2D(4, 3)(image)))
    model = keras.Model(image, layers.Dense(4)(layers.Flatten()(keras.Sequential([Scaled()])(h))))
    x = rng.normal(size=(4, 7, 6, 2)).astype(np.float32)
    explainer = BacktrackExplainer(model, method="viterbi", contrast=False)
    explainer.explain(x)
    program = explainer._program
    model.compile("sgd", "mse")
    for _ in range(2):
        model.fit(x, np.ones((4, 4)), verbose=0)
        e = explainer.explain(x, 1)
        np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 1], rtol=1e-4)
    model.layers[1].trainable = False
    explainer.explain(x)
    assert explainer._program is program


@only_keras_3
def test_int8_weights_are_read_anew(rng):
    model, x = sequential(), rng.normal(size=(2, 7, 6, 2)).astype(np.float32)
    explainer = BacktrackExplainer(model, method="viterbi", contrast=False)
    explainer.explain(x, 1)
    dense = model.layers[-1]
    # Columns of different sizes, which quantised are all of the same.
    dense.kernel.assign(dense.kernel * [1.0, 30.0, 0.1, 5.0])
    float_weights = explainer.explain(x, 1, versus=0)
    model.quantize("int8")
    e = explainer.explain(x, 1, versus=0)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 1], rtol=1e-4)
    np.testing.assert_allclose(e.logits, float_weights.logits, rtol=0.1, atol=0.02)


@only_keras_3
@pytest.mark.parametrize("block", [None, 4])
def test_int4_weights_are_read_anew(block, rng):
    """Those that a kernel of numbers of four bits means, with an adapter on top."""
    model, x = sequential(), rng.normal(size=(2, 7, 6, 2)).astype(np.float32)
    explainer = BacktrackExplainer(model, method="viterbi", contrast=False)
    explainer.explain(x)
    dense = model.layers[-1]
    config = block and keras.quantizers.Int4QuantizationConfig(block_size=block)
    settings = {} if config is None else {"config": config}
    dense.quantize("int4", **settings)
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(rng.normal(size=dense.lora_kernel_b.shape))
    inputs = tf.ones((1, dense.input_spec.axes[-1]))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        made = dense(inputs)
    # Keras's own gradient is that of the numbers which are meant.
    kernel = tape.jacobian(made, inputs, experimental_use_pfor=False)[0, :, 0].numpy().T
    merged = sequential()
    merged.set_weights([*model.get_weights()[:4], kernel, np.asarray(dense.bias)])
    e = explainer.explain(x, 1)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 1], rtol=1e-4)
    want = BacktrackExplainer(merged, method="viterbi", contrast=False).explain(x, 1)
    np.testing.assert_allclose(np.concatenate(e.mass), np.concatenate(want.mass), atol=1e-5)


@only_keras_3
def test_lora_is_read_anew(rng):
    model, x = sequential(), rng.normal(size=(2, 7, 6, 2)).astype(np.float32)
    explainer = BacktrackExplainer(model, method="viterbi", contrast=False)
    explainer.explain(x, 1)
    dense = model.layers[-1]
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(rng.normal(size=dense.lora_kernel_b.shape))
    merged = sequential()
    merged.set_weights([*(w for w in model.get_weights()[:4]), *np_of(dense.kernel, dense.bias)])
    for _ in range(2):
        e = explainer.explain(x, 1)
        np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 1], rtol=1e-4)
        want = BacktrackExplainer(merged, method="viterbi", contrast=False).explain(x, 1)
        np.testing.assert_allclose(np.concatenate(e.mass), np.concatenate(want.mass), atol=1e-5)
        # The adapter is trained on.
        dense.lora_kernel_a.assign(dense.lora_kernel_a * -2.0)
        merged.layers[-1].set_weights(np_of(dense.kernel, dense.bias))


def always_normalised(x):
    return layers.BatchNormalization(name="own")(x, training=True)


def always_dropped(x):
    return layers.Dropout(0.5, name="own")(x, training=True)


def always_nested(x):
    inner = keras.Sequential([keras.Input(x.shape[1:]), layers.Dropout(0.5)], name="own")
    return inner(x, training=True)


@pytest.mark.parametrize("middle", [always_normalised, always_dropped, always_nested])
def test_scores_are_those_of_the_model_or_it_is_refused(middle, rng):
    """Keras 3 does not train when it predicts, whatever a layer was called with; 2.15 does."""
    keras.utils.set_random_seed(0)
    values = keras.Input((5,))
    h = middle(layers.Dense(6)(values))
    model = keras.Model(values, layers.Dense(3, activation="softmax")(h))
    x = rng.normal(size=(4, 5)).astype(np.float32)
    if not KERAS_3:
        with pytest.raises(UnsupportedModelError, match=r"training=True.*Received: 'own' of class"):
            BacktrackExplainer(model)
        return
    e = BacktrackExplainer(model).explain(x, 1)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 1], rtol=1e-5)


class Trains(layers.Layer):
    """Drops units whenever it is called."""

    def __init__(self):
        super().__init__()
        self.drop = layers.Dropout(0.5)

    def call(self, x):
        return self.drop(x, training=True) + x


def test_a_layer_that_trains_inside_is_refused():
    values = keras.Input((5,))
    model = keras.Model(values, layers.Dense(3)(Trains()(values)))
    with pytest.raises(UnsupportedModelError, match=r"training=True.*Received: '.*dropout"):
        BacktrackExplainer(model)


def test_a_model_that_answers_otherwise_is_refused(rng, monkeypatch):
    """Also where nothing was recorded of it."""
    keras.utils.set_random_seed(0)
    values = keras.Input((5,))
    model = keras.Model(values, layers.Dense(3)(layers.Dense(4)(values)))
    explainer = BacktrackExplainer(model)
    assert not explainer._graph.is_recorded
    monkeypatch.setattr(
        "keras_backtrack.explainer.model_checks.call_model", lambda _, given: given[0][:, :3] * 9
    )
    with pytest.raises(UnsupportedModelError, match="answers otherwise.*Received: .* from the mod"):
        explainer.explain(rng.normal(size=(2, 5)))


@pytest.mark.parametrize("keyed", [False, True])
def test_the_comparison_calls_models_of_several_inputs_and_outputs(keyed, rng):
    keras.utils.set_random_seed(0)
    b, a = keras.Input((3,), name="b"), keras.Input((4,), name="a")
    h = layers.Concatenate()([b, a])
    outputs = {"two": layers.Dense(2)(h), "one": layers.Dense(3)(h)}
    inputs = {"b": b, "a": a} if keyed else [b, a]
    model = keras.Model(inputs, outputs if keyed else list(outputs.values()))
    x = {"b": rng.normal(size=(2, 3)), "a": rng.normal(size=(2, 4))}
    for output in (0, 1):
        assert len(BacktrackExplainer(model, output=output).explain(x, 1)) == 2
