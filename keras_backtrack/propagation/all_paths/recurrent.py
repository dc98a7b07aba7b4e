"""Recurrent layers: the mass of all paths goes back in time."""

import tensorflow as tf

from ...rules.contributions import Loop
from ...rules.traced_call import TracedCall
from ..recurrent import AtStep, _mask_at, _sequence_at, _states_before, _time, _units
from .dense_mass import Maps, add, all_mass, full, rows_where


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
