"""Recurrent layers: nodes go back in time, through the cell's own graph at every step."""

import tensorflow as tf

from ...rules.contributions import Loop
from ...rules.traced_call import TracedCall
from ..nodes import Nodes, merge
from ..recurrent import AtStep, _mask_at, _sequence_at, _states_before, _time, _units
from ..sums import collect


def walk_loop(
    loop: Loop, call: TracedCall, nodes: Nodes, owner: tf.Tensor, at_step: AtStep
) -> tuple[list[Nodes | None], tf.Tensor]:
    """Walks nodes at a recurrent layer's output back to its sequence and its first states.

    Args:
        loop, call, nodes: The layer and where to start from.
        owner: (E,) int64, which row of the batch each explanation is about.
        at_step: Walks through the cell at one step.

    Returns:
        The nodes in each input of the call, and the (E,) mass that ended.
    """
    before, steps = _states_before(loop), tf.shape(loop.sequence)[1]
    length, width = tf.cast(steps, tf.int64), _units(loop.sequence) // tf.cast(steps, tf.int64)
    outputs = loop.cell.outputs
    nobody = nodes.where(tf.zeros_like(nodes.index, tf.bool))
    at_end, in_sequence = [nobody] * len(outputs), nobody
    if loop.position == 0 and loop.is_whole:
        in_sequence = nodes
    else:
        at_end[loop.position] = nodes
    each = _units(call.output) // (length if loop.is_whole else 1)

    def body(step, arriving, lost, found):
        step -= 1
        # What arrives at the output of this step and at the states after it.
        own = _of_step(in_sequence, step, length, each)
        arriving, passed = list(arriving), [nobody] * len(outputs)
        if loop.mask is not None:
            mask = _mask_at(loop, step)
            if loop.skips_to_zero:
                sees = _reads(own, each, mask, owner)
                lost += _total(own.where(~sees), each, owner)
                own = own.where(sees)
        arriving[0] = merge([arriving[0], own])
        if loop.mask is not None:
            for place, here in enumerate(arriving):
                sees = _reads(here, _state_units(loop, place, each), mask, owner)
                arriving[place], passed[place] = here.where(sees), here.where(~sees)
        tensors = loop.cell.replay(
            [_sequence_at(loop, step), *(array.read(step) for array in before)]
        )
        roots = {}
        for number, here in zip(outputs, arriving, strict=True):
            roots[number] = merge([roots[number], here]) if number in roots else here
        reached, ended = at_step(loop.cell, tensors, roots)
        read, *states = (reached.get(number, nobody) for number in loop.cell.inputs)
        time = tf.cast(_time(loop, step), tf.int64)
        place = (read.index // width * length + time) * width + read.index % width
        read = read._replace(index=place)
        found = [array.write(step, part) for array, part in zip(found, read, strict=True)]
        states = [merge(pair) for pair in zip(states, passed[1:], strict=True)]
        return step, [passed[0], *states], lost + ended, found

    found = [collect(steps, field[:0]) for field in nodes]
    start = (steps, at_end, tf.zeros_like(owner, tf.float32), found)
    some = tf.TensorShape([None])
    shapes = (
        tf.TensorShape([]),
        [Nodes(some, some, some)] * len(outputs),
        some,
        [tf.TensorShape(None)] * 3,
    )
    _, first, lost, found = tf.while_loop(
        lambda step, *_: step > 0, body, start, shapes, parallel_iterations=1
    )
    # There is nothing before the first output.
    lost += _total(first[0], each, owner)
    states = first[1:]
    read = Nodes(*(array.concat() for array in found))
    if len(call.followed_inputs) == 1:
        sizes = [_units(state) for state in loop.states]
        lost += sum(_total(pair[0], pair[1], owner) for pair in zip(states, sizes, strict=True))
        states = []
    return call.among_inputs([read, *states]), lost


def _of_step(nodes: Nodes, step: tf.Tensor, length: tf.Tensor, each: tf.Tensor) -> Nodes:
    """Those nodes of a sequence that are in one step, as nodes of a tensor without time."""
    explanation, time = nodes.index // each // length, nodes.index // each % length
    here = nodes._replace(index=explanation * each + nodes.index % each)
    return here.where(tf.equal(time, tf.cast(step, tf.int64)))


def _state_units(loop: Loop, place: int, each: tf.Tensor) -> tf.Tensor:
    return each if place == 0 else _units(loop.states[place - 1])


def _reads(nodes: Nodes, units: tf.Tensor, mask: tf.Tensor, owner: tf.Tensor) -> tf.Tensor:
    """Whether the image each node is about has a step that counts."""
    return tf.gather(mask, tf.gather(owner, nodes.index // units))


def _total(nodes: Nodes, units: tf.Tensor, owner: tf.Tensor) -> tf.Tensor:
    return tf.math.unsorted_segment_sum(nodes.mass, nodes.index // units, tf.size(owner))
