"""What a recurrent layer did at each of its time steps."""

from collections.abc import Sequence

import tensorflow as tf

from ..rules.contributions import Loop


def states_in_time(loop: Loop) -> list[tf.TensorArray]:
    """Runs a recurrent layer: each state before every step, and after the last."""
    steps = tf.shape(loop.sequence)[1]
    arrays = [
        tf.TensorArray(state.dtype, steps + 1, clear_after_read=False).write(0, state)
        for state in loop.states
    ]

    def body(step: tf.Tensor, states: list[tf.Tensor], arrays: list[tf.TensorArray]) -> tuple:
        tensors = loop.cell.replay([loop.sequence[:, time_of(loop, step)], *states])
        after = [tensors[number] for number in loop.cell.outputs[1:]]
        if loop.mask is not None:
            mask, pairs = loop.mask[:, time_of(loop, step)], zip(after, states, strict=True)
            after = [tf.where(_like(mask, new), new, old) for new, old in pairs]
        written = zip(arrays, after, strict=True)
        return step + 1, after, [array.write(step + 1, state) for array, state in written]

    if not loop.states:
        return []
    states = list(loop.states)
    return tf.while_loop(lambda step, *_: step < steps, body, (0, states, arrays))[2]


def tensors_at(loop: Loop, states: list[tf.TensorArray], step: tf.Tensor) -> dict[int, tf.Tensor]:
    """The cell's activations at one step.

    Args:
        loop: The layer.
        states: As from `states_in_time`.
        step: Which one.
    """
    read = loop.sequence[:, time_of(loop, step)]
    return loop.cell.replay([read, *(array.read(step) for array in states)])


def activations_in_time(loop: Loop, numbers: Sequence[int]) -> dict[int, tf.Tensor]:
    """Some of the cell's activations at all steps: (T, N, ...), by number."""
    states, steps = states_in_time(loop), tf.shape(loop.sequence)[1]
    dtypes = [loop.cell.specs[number].dtype for number in numbers]
    arrays = [tf.TensorArray(dtype, steps, infer_shape=False) for dtype in dtypes]

    def body(step: tf.Tensor, arrays: list[tf.TensorArray]) -> tuple:
        tensors = tensors_at(loop, states, step)
        pairs = zip(arrays, numbers, strict=True)
        return step + 1, [array.write(step, tensors[n]) for array, n in pairs]

    arrays = tf.while_loop(lambda step, *_: step < steps, body, (0, arrays))[1]
    return {number: array.stack() for number, array in zip(numbers, arrays, strict=True)}


def time_of(loop: Loop, step: tf.Tensor) -> tf.Tensor:
    """Which time step of the sequence is read at a step of the loop."""
    return tf.shape(loop.sequence)[1] - 1 - step if loop.is_reversed else step


def _like(mask: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    return tf.reshape(mask, [-1] + [1] * (tensor.shape.rank - 1))
