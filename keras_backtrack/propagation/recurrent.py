"""Recurrent layers: the walk goes back in time, through the cell's own graph at every step."""

from collections.abc import Callable

import tensorflow as tf

from ..graph.graph import Graph
from ..rules.contributions import Loop
from ..rules.indexing import dims, product

# Takes a cell, its tensors at one step and what arrived at some of them. Returns what arrives at
# its inputs, by number, and the (E,) mass that ended.
AtStep = Callable[[Graph, dict[int, tf.Tensor], dict], tuple]


def _states_before(loop: Loop) -> list[tf.TensorArray]:
    """Runs a recurrent layer: each state before every step, and after the last."""
    steps = tf.shape(loop.sequence)[1]
    arrays = [
        tf.TensorArray(state.dtype, steps + 1, clear_after_read=False).write(0, state)
        for state in loop.states
    ]

    def body(step, states, arrays):
        tensors = loop.cell.replay([_sequence_at(loop, step), *states])
        after = [tensors[number] for number in loop.cell.outputs[1:]]
        if loop.mask is not None:
            mask, pairs = _mask_at(loop, step), zip(after, states, strict=True)
            after = [tf.where(_like(mask, new), new, old) for new, old in pairs]
        written = zip(arrays, after, strict=True)
        return step + 1, after, [array.write(step + 1, state) for array, state in written]

    if not loop.states:
        return []
    states = list(loop.states)
    return tf.while_loop(lambda step, *_: step < steps, body, (0, states, arrays))[2]


def _sequence_at(loop: Loop, step: tf.Tensor) -> tf.Tensor:
    return loop.sequence[:, _time(loop, step)]


def _mask_at(loop: Loop, step: tf.Tensor) -> tf.Tensor:
    return loop.mask[:, _time(loop, step)]


def _time(loop: Loop, step: tf.Tensor) -> tf.Tensor:
    """Which time step of the sequence is read at a step of the loop."""
    return tf.shape(loop.sequence)[1] - 1 - step if loop.is_reversed else step


def _like(mask: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    return tf.reshape(mask, [-1] + [1] * (tensor.shape.rank - 1))


def _units(tensor: tf.Tensor) -> tf.Tensor:
    return tf.cast(product(dims(tensor)), tf.int64)
