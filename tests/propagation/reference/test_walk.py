"""The reference against numbers worked out by hand."""

import numpy as np

from keras_backtrack.graph.compat import keras
from keras_backtrack.propagation import reference
from keras_backtrack.rules import read_model

layers = keras.layers


def nodes_at_input(shape, layer, weights, image, target=0, **limits):
    """What a network of one layer leads back to, and the lost mass."""
    source = keras.Input(shape)
    model = keras.Model(source, layers.Flatten()(layer(source)))
    layer.set_weights([np.array(w, np.float32) for w in weights])
    graph = read_model(model)
    result = reference.backtrack(
        model, np.array(image, np.float32), target, reference.Paths(**limits)
    )
    return result.nodes.get(graph.names[graph.inputs[0]], {}), result.lost


def test_dense_keeps_the_largest_products():
    weights = [[[1, 9], [2, 9], [-1, 9], [3, 9]], [5, 0]]
    nodes, lost = nodes_at_input((4,), layers.Dense(2), weights, [1, 2, 3, -1], top_n=None)
    assert nodes == {((0,), 1): 0.2, ((1,), 1): 0.8}
    assert lost == 0


def test_a_negative_weight_on_a_negative_input_asks_why_it_is_low():
    nodes, _ = nodes_at_input((2,), layers.Dense(1), [[[-2], [1]], [0]], [-3, 2])
    assert nodes == {((0,), -1): 0.75, ((1,), 1): 0.25}


def test_no_positive_contribution_ends_the_path():
    assert nodes_at_input((2,), layers.Dense(1), [[[-1], [-1]], [9]], [1, 1]) == ({}, 1.0)


def test_bias_only_counts_as_the_algorithm_prints_it():
    weights = [[[-1], [1]], [2]]
    assert nodes_at_input((2,), layers.Dense(1), weights, [1, 1])[0] == {((1,), 1): 1.0}
    nodes, _ = nodes_at_input((2,), layers.Dense(1), weights, [1, 1], include_bias=True)
    assert nodes == {((0,), -1): 0.25, ((1,), 1): 0.75}


def test_convolution_picks_the_channel_by_its_sum_then_the_position():
    kernel = np.zeros((1, 2, 2, 1))
    kernel[0, :, :, 0] = [[4, 2], [-3, 1]]  # positions by channels: sums 1 and 3
    image = np.ones((1, 2, 2))
    nodes, _ = nodes_at_input((1, 2, 2), layers.Conv2D(1, (1, 2)), [kernel, [0]], image)
    assert nodes == {((0, 0, 1), 1): 1.0}


def test_padding_is_nobodys_input():
    layer, weights = layers.Conv2D(1, 3, padding="same"), [np.ones((3, 3, 1, 1)), [0]]
    nodes, _ = nodes_at_input((2, 2, 1), layer, weights, [[[1], [2]], [[3], [4]]], positions=None)
    assert sorted(nodes) == [((r, c, 0), 1) for r in (0, 1) for c in (0, 1)]


def test_max_pooling_ties_go_to_the_first():
    nodes, _ = nodes_at_input((2, 2, 1), layers.MaxPooling2D(2), [], [[[1], [7]], [[7], [2]]])
    assert nodes == {((0, 1, 0), 1): 1.0}


def test_the_least_by_whatever_name():
    """A subclass of Keras's layer is that layer."""

    class Least(layers.Minimum):
        pass

    source = keras.Input((2,))
    parts = [source, layers.Rescaling(-1.0)(source)]
    for layer, wants in (
        (Least(), [1, -1]),
        (layers.Minimum(), [1, -1]),
        (layers.Maximum(), [-1, 1]),
    ):
        model = keras.Model(source, layer(parts))
        name = read_model(model).names[0]
        for unit, want in enumerate(wants):
            found = reference.backtrack(model, np.array([-3.0, 2.0], np.float32), unit)
            assert found.nodes[name] == {((unit,), want): 1.0}
