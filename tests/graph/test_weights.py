"""Whether weights have changed, also of variables that are at another address at every read."""

import numpy as np
import pytest
import tensorflow as tf

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.graph.weights import Held, Watch

layers = keras.layers


def copied_variable():
    variable = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3))
    variable.scatter_nd_update([[1]], [[1.0, 2.0, 3.0]])
    return variable


def test_a_variable_that_is_copied_at_every_read_has_not_changed():
    variable = copied_variable()
    held = [tf.convert_to_tensor(variable) for _ in range(2)]
    assert len({np.asarray(t).ctypes.data for t in held}) == 2
    watch = Watch([variable])
    assert not any(watch.changed() for _ in range(3))
    variable.scatter_nd_update([[2]], [[1.0, 2.0, 4.0]])
    assert watch.changed()
    watch.renew()
    assert not watch.changed()


def test_a_watch_of_more_variables_still_knows_what_the_others_were():
    one, other = tf.Variable([1.0]), tf.Variable([2.0])
    watch = Watch([one])
    one.assign([3.0])
    watch.also([one, other])
    assert watch.changed()
    watch.renew()
    assert not watch.changed()
    other.assign([3.0])
    assert watch.changed()


class OnAnotherDevice:
    """Whose numbers are copied to the host at every look, to the same place perhaps."""

    shape = tf.TensorShape([1000])

    def __init__(self, number):
        self.number = number

    def __array__(self, dtype=None, copy=None):
        return np.full(1000, self.number, np.float32)


@pytest.mark.parametrize("number", [1.0, np.nan])
def test_copies_on_the_host_are_compared(number):
    held = Held(OnAnotherDevice(number))
    for _ in range(3):
        assert held.equals(OnAnotherDevice(number))
        assert not held.equals(OnAnotherDevice(2.0))


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16, tf.int8, tf.float64])
def test_weights_of_any_dtype_are_told_apart(dtype):
    variables = [tf.Variable(tf.cast(value, dtype)) for value in (3, [1, 2])]
    watch = Watch(variables)
    assert not watch.changed()
    variables[0].assign(tf.cast(3, dtype))
    assert not watch.changed()
    variables[0].assign(tf.cast(4, dtype))
    assert watch.changed()


def test_an_embedding_trained_by_sparse_updates_is_prepared_and_read_once(rng):
    keras.utils.set_random_seed(0)
    words = keras.Input((4,), dtype="int32")
    h = layers.Flatten()(layers.Embedding(20, 6)(words))
    model = keras.Model(words, layers.Dense(3)(h))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = rng.integers(0, 20, (8, 4))
    model.fit(x, np.ones((8, 3)), verbose=0)
    # As a sparse update does, whichever the optimizer's own is.
    table = getattr(model.layers[1].embeddings, "value", model.layers[1].embeddings)
    table = table() if callable(table) and not isinstance(table, tf.Variable) else table
    if isinstance(table, tf.Variable):
        table.scatter_nd_update([[1]], [np.ones(6, np.float32)])
    explainer = BacktrackExplainer(model, method="viterbi", contrast=False)
    e, prepared = explainer.explain(x, 1), explainer.prepare(x)
    program = explainer._program
    arrays = program.paths.constants()
    for _ in range(2):
        np.testing.assert_array_equal(prepared.explain(1).mass[0], e.mass[0])
        np.testing.assert_array_equal(explainer.explain(x, 1).mass[0], e.mass[0])
    assert explainer._program is program
    assert program.paths.constants() is arrays
    model.fit(x, np.zeros((8, 3)), verbose=0)
    with pytest.raises(RuntimeError, match="weights have changed"):
        prepared.explain(1)
    explainer.explain(x, 1)
    assert program.paths.constants() is not arrays
