"""Which rows and columns of the picture the cells of a layer read."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.explanation.way.receptive_fields import receptive_fields
from keras_backtrack.graph.compat import KERAS_3, keras


def test_receptive_fields_are_what_changes_a_cell(model, e):
    """Against the network itself: a cell changes with a row just where its field says it may."""
    walk = e[:1]._retraced()
    fields = receptive_fields(walk.graph, walk.tracks.rules, walk.tensors, walk.picture)
    numbers = {name: number for number, name in walk.graph.names.items()}
    x = e._images[0][:1]
    names = ("stem", "add", "pool", "pad", "conv")
    reader = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    for axis in (1, 2):
        size = x.shape[axis]
        changed = np.moveaxis(np.repeat(x, 2 * size, axis=0), axis, 1)
        for place in range(size):
            changed[place, place], changed[size + place, place] = -50, 50
        before, after = reader([x]), reader([np.moveaxis(changed, 1, axis)])
        for name, one, many in zip(names, before, after, strict=True):
            difference = np.abs(np.asarray(many) - np.asarray(one))
            other = tuple(a for a in (1, 2, 3) if a != axis)
            changes = difference.max(axis=other).reshape(2, size, -1).max(axis=0) > 1e-4
            for cell, (first, last) in enumerate(fields[numbers[name]][axis - 1]):
                seen = np.flatnonzero(changes[:, cell])
                assert [first, last] == ([seen[0], seen[-1] + 1] if len(seen) else [0, 0])
    assert numbers["mean"] not in fields


def _largest(axis):
    largest = keras.ops.max if KERAS_3 else tf.reduce_max
    return lambda x: largest(x, axis=axis, keepdims=True)


EVERYTHING = [[0, 6]], [[0, 5]]
EACH = [[n, n + 1] for n in range(6)], [[n, n + 1] for n in range(5)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("pool", "field"),
    [
        (layers.GlobalAveragePooling2D(keepdims=True), EVERYTHING),
        (layers.GlobalMaxPooling2D(keepdims=True), EVERYTHING),
        (_largest((1, 2)), None),  # which stands for everything
        (_largest(1), None),
        (_largest(-1), EACH),
    ],
)
def test_a_global_pool_sees_everything(pool, field, channels):
    """However many channels it has, and whichever of its inputs is the largest."""
    image = keras.Input((6, 5, channels))
    x = pool(image)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    x = np.random.default_rng(0).random((1, 6, 5, channels), np.float32)
    walk = BacktrackExplainer(model, method="viterbi", contrast=False).explain(x)._retraced()
    fields = receptive_fields(walk.graph, walk.tracks.rules, walk.tensors, walk.picture)
    found = fields.get(walk.graph.calls[0].outputs[0])
    assert field == (found and tuple(bounds.tolist() for bounds in found))
