"""Layers that do the same at every step along a sequence."""

import tensorflow as tf

from ..graph.compat import keras
from ..graph.recording import CONVOLUTIONAL
from .contributions import Loop
from .registry import register_rule
from .traced_call import TracedCall

layers = keras.layers


@register_rule(layers.RNN, layers.SimpleRNN, layers.LSTM, layers.GRU, *CONVOLUTIONAL)
def recurrent(call: TracedCall) -> Loop:
    """Whatever the cell is made of is followed at every step; its gates are constants."""
    layer, cell = call.layer, call.cell
    shapes = [cell.specs[number] for number in cell.inputs[1:]]
    dtype = cell.specs[cell.inputs[0]].dtype
    sequence, *states = call.inputs
    mask = states.pop() if states and states[-1].dtype == tf.bool else None
    if not states:
        rows = tf.shape(sequence)[:1]
        states = [tf.zeros(tf.concat([rows, s.shape[1:]], 0), dtype) for s in shapes]
        states = [
            tf.ensure_shape(z, [None, *s.shape[1:]]) for z, s in zip(states, shapes, strict=True)
        ]
    return Loop(
        cell=cell,
        sequence=tf.cast(sequence, dtype),
        states=[tf.cast(state, dtype) for state in states],
        mask=mask,
        is_reversed=layer.go_backwards,
        position=call.position,
        is_whole=layer.return_sequences,
        skips_to_zero=getattr(layer, "zero_output_for_mask", False) and layer.return_sequences,
    )


@register_rule(layers.TimeDistributed)
def time_distributed(call: TracedCall) -> Loop:
    """A recurrent layer without states."""
    return Loop(call.cell, call.inputs[0], states=[])
