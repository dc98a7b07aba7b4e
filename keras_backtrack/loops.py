"""Recurrent layers: the walk goes back in time, through the cell's own graph at every step."""

from collections.abc import Callable

import tensorflow as tf

from .contributions import Loop, TracedCall, dims, product
from .graph import Graph
from .mass import Maps, add, all_mass, full, rows_where
from .nodes import Nodes, merge
from .step import collect

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


def _units(tensor: tf.Tensor) -> tf.Tensor:
    return tf.cast(product(dims(tensor)), tf.int64)


def spread_loop(
    loop: Loop, call: TracedCall, maps: Maps, at_step: AtStep
) -> tuple[list[Maps | None], tf.Tensor]:
    """As `walk_loop`, for the mass of all paths: the tensors have a row for each explanation."""
    before, steps = _states_before(loop), tf.shape(loop.sequence)[1]
    outputs, explanations = loop.cell.outputs, tf.shape(maps.high)[0]

    def empty(units: tf.Tensor) -> Maps:
        return Maps(tf.zeros([explanations, units]), tf.zeros([0, units]))

    in_sequence = None
    each = tf.cast(_units(call.output), tf.int32)
    if loop.position == 0 and loop.is_whole:
        each = each // steps
        in_sequence = [tf.reshape(mass, [tf.shape(mass)[0], steps, each]) for mass in maps]
    sizes = [each, *(tf.cast(_units(state), tf.int32) for state in loop.states)]
    at_end = [empty(size) for size in sizes]
    if in_sequence is None:
        at_end[loop.position] = maps

    def body(step, arriving, lost, found):
        step -= 1
        arriving = [Maps(*pair) for pair in arriving]
        passed = [empty(size) for size in sizes]
        mask = None if loop.mask is None else _mask_at(loop, step)
        if in_sequence is not None:
            own = Maps(*(mass[:, step] for mass in in_sequence))
            if mask is not None and loop.skips_to_zero:
                lost += all_mass(Maps(*(rows_where(mass, ~mask) for mass in own)))
                own = Maps(*(rows_where(mass, mask) for mass in own))
            arriving[0] = Maps(*map(add, arriving[0], own))
        if mask is not None:
            passed = [Maps(*(rows_where(mass, ~mask) for mass in here)) for here in arriving]
            arriving = [Maps(*(rows_where(mass, mask) for mass in here)) for here in arriving]
        tensors = loop.cell.replay(
            [_sequence_at(loop, step), *(array.read(step) for array in before)]
        )
        roots = {}
        for number, here in zip(outputs, arriving, strict=True):
            roots[number] = Maps(*map(add, roots[number], here)) if number in roots else here
        reached, ended = at_step(loop.cell, tensors, roots)
        inputs = [
            reached.get(number) or empty(tf.cast(_units(tensors[number]), tf.int32))
            for number in loop.cell.inputs
        ]
        read = Maps(inputs[0].high, full(inputs[0].low, inputs[0].high))
        found = [
            array.write(_time(loop, step), mass) for array, mass in zip(found, read, strict=True)
        ]
        states = [Maps(*map(add, *pair)) for pair in zip(inputs[1:], passed[1:], strict=True)]
        return step, [tuple(here) for here in (passed[0], *states)], lost + ended, found

    found = [tf.TensorArray(tf.float32, steps, element_shape=[None, None]) for _ in maps]
    some = tf.TensorShape([None, None])
    start = (steps, [tuple(here) for here in at_end], tf.zeros([explanations]), found)
    shapes = (
        tf.TensorShape([]),
        [(some, some)] * len(outputs),
        tf.TensorShape([None]),
        [tf.TensorShape(None)] * 2,
    )
    _, first, lost, found = tf.while_loop(
        lambda step, *_: step > 0, body, start, shapes, parallel_iterations=1
    )
    first = [Maps(*pair) for pair in first]
    lost += all_mass(first[0])
    states = first[1:]
    if len(call.followed_inputs) == 1:
        lost += sum(map(all_mass, states), tf.zeros([]))
        states = []
    units = tf.cast(_units(loop.sequence), tf.int32)
    read = [tf.reshape(tf.transpose(mass.stack(), [1, 0, 2]), [-1, units]) for mass in found]
    # Whether anybody was asked why it is low is known for all steps only now.
    low = tf.cond(tf.reduce_any(read[1] != 0), lambda: read[1], lambda: read[1][:0])
    return call.among_inputs([Maps(read[0], low), *states]), lost
