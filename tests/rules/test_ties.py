"""Of contributions that are equal the one with the lowest index is followed."""

import numpy as np
import pytest
import tensorflow as tf
from networks import assert_equals_reference, layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.propagation.limits import Limits

ONES = {"kernel_initializer": "ones", "bias_initializer": "zeros"}
DEPTHWISE = {"depthwise_initializer": "ones", "bias_initializer": "zeros"}
LAYERS = [
    (layers.Dense(3, **ONES), (4,)),
    (layers.Conv1D(2, 3, padding="causal", dilation_rate=2, **ONES), (7, 2)),
    (layers.Conv2D(4, 3, padding="same", groups=2, **ONES), (5, 4, 4)),
    (layers.Conv3D(2, 2, **ONES), (3, 3, 3, 2)),
    (layers.Conv1DTranspose(2, 3, **ONES), (5, 2)),
    (layers.Conv1DTranspose(2, 4, strides=2, padding="same", **ONES), (5, 2)),
    (layers.Conv2DTranspose(2, 3, padding="same", **ONES), (4, 5, 2)),
    (layers.Conv2DTranspose(2, (5, 4), strides=(2, 1), **ONES), (4, 3, 2)),
    (layers.Conv2DTranspose(2, 2, dilation_rate=2, **ONES), (4, 3, 2)),
    (layers.Conv3DTranspose(2, 2, **ONES), (2, 3, 2, 2)),
    (layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, **DEPTHWISE), (4, 5, 2)),
    (layers.AveragePooling2D(2), (4, 6, 2)),
    (layers.MaxPooling2D(3, strides=1, padding="same"), (4, 5, 2)),
    (layers.GlobalAveragePooling2D(), (3, 4, 2)),
    (layers.GlobalMaxPooling2D(), (3, 4, 2)),
    (layers.UpSampling2D(3, interpolation="bilinear"), (3, 3, 1)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda v: getattr(v, "name", ""))
@pytest.mark.parametrize("sign", [1, -1])
def test_the_lowest_of_equals(layer, shape, sign, plain_graphs):
    image = keras.Input(shape)
    model = keras.Model(image, layer(image))
    x = np.full((1, *shape), sign, np.float32)
    output = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(output)
        answer = model(output)
    reads = np.asarray(tape.jacobian(answer, output)).reshape(np.size(answer), *shape)
    units = np.arange(np.size(answer))
    masks = np.eye(len(units), dtype=bool).reshape(len(units), *answer.shape[1:])
    settings = {"top_n": 1, "channels": 1, "positions": 1, "method": "viterbi", "contrast": False}
    e = BacktrackExplainer(model, **settings).explain(
        x.repeat(len(units), 0),
        masks if masks.ndim > 2 else units,
        side="high" if sign > 0 else "low",
    )
    for unit, nodes in zip(units, e.nodes(e.input), strict=True):
        # Contributions are equal where weights are; bilinear ones are larger in the middle.
        best = np.flatnonzero(reads[unit] == reads[unit].max())[0]
        assert [tuple(node) for node in nodes] == [np.unravel_index(best, shape)]
    # The plain loops say so, too.
    targets = np.arange(min(len(units), 12))[None]
    assert_equals_reference(model, x, targets, Limits(1, 1, 1, False), side=sign)
