"""More data than memory."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers
from same import assert_same

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


@pytest.mark.parametrize(
    ("targets", "more"), [(None, {}), (2, {"side": "low"}), (1, {"versus": 2})]
)
def test_a_data_set_is_explained_as_its_array(explainer, x, targets, more):
    labels = np.zeros(len(x))
    data = tf.data.Dataset.from_tensor_slices((x, labels)).batch(3)
    together = explainer.explain(data, targets, **more, batch_size=2)
    alone = explainer.explain(x, targets, **more)
    assert_same(together, alone)
    np.testing.assert_allclose(together.grid(), alone.grid(), atol=1e-6)
    assert together.plot(x) is not None
    with pytest.raises(ValueError, match=r"not kept.*Received: an explanation without"):
        together.plot()


def test_a_stream_yields_batch_after_batch(explainer, x):
    """Nothing of a batch is asked for before the one before it is done with."""
    asked = []

    def batches():
        for start in range(0, 6, 2):
            asked.append(start)
            yield x[start : start + 2]

    stream = explainer.stream(batches(), 1)
    for number, e in enumerate(stream):
        assert len(asked) == number + 1 and e.image_index.tolist() == [0, 1]
        assert_same(e, explainer.explain(x[2 * number : 2 * number + 2], 1))
        assert e.plot() is not None
    assert number == 2


def test_an_array_on_disk(explainer, x, tmp_path):
    np.save(tmp_path / "x.npy", x.astype(np.float64))
    on_disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    e = explainer.explain(on_disk, batch_size=3)
    assert_same(e, explainer.explain(x))
    assert np.shares_memory(e._images[0], on_disk)


def test_progress(explainer, x, capsys):
    explainer.explain(x, batch_size=2, progress=True)
    assert "7/7" in capsys.readouterr().err
    explainer.explain(tf.data.Dataset.from_tensors(x), progress=True)
    assert "7 images" in capsys.readouterr().err
    explainer.explain(x)
    assert not capsys.readouterr().err


def test_what_a_stream_refuses(explainer, x):
    data = tf.data.Dataset.from_tensor_slices(x)
    with pytest.raises(ValueError, match=r"same for all.*Received: \[0, 1, 2\]"):
        next(explainer.stream(data.batch(3), [0, 1, 2]))
    with pytest.raises(ValueError, match=r"at least one batch.*Received"):
        list(explainer.stream(iter([])))
    bad = x.copy()
    bad[5, 0, 0, 0] = np.nan
    stream = explainer.stream(tf.data.Dataset.from_tensor_slices(bad).batch(3))
    assert len(next(stream)) == 3
    with pytest.raises(ValueError, match=r"finite.*Received: 1 NaN or infinite values, in image"):
        next(stream)


def test_inputs_of_several_sizes():
    image = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    explainer = BacktrackExplainer(keras.Model(image, layers.Dense(2)(x)))
    batches = [np.ones((2, 6, 5, 3)), np.ones((1, 9, 9, 3))]
    data = tf.data.Dataset.from_generator(
        lambda: batches, output_signature=tf.TensorSpec([None, None, None, 3])
    )
    assert [e.shape for e in explainer.stream(data)] == [(6, 5, 3), (9, 9, 3)]
    with pytest.raises(ValueError, match=r"one size.*Received: \[\(6, 5, 3\), \(9, 9, 3\)\]"):
        explainer.explain(data)
