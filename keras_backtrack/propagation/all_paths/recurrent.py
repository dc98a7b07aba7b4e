"""Recurrent layers: the mass of all paths goes back in time, through the cell at every step."""

from collections.abc import Callable

import tensorflow as tf

from ...graph.graph import Graph
from ...rules.contributions import Loop
from ...rules.indexing import dims, product
from ...rules.traced_call import TracedCall
from ..backward import Taken
from ..nodes import Walked
from ..recurrent import states_in_time, tensors_at, time_of
from .dense_mass import Maps, add, all_mass, full, rows_where

# Takes a cell, its tensors at one step and maps at some of them; returns maps in place of nodes.
AtStep = Callable[[Graph, dict[int, tf.Tensor], dict[int, Maps]], Walked]


def back_in_time(loop: Loop, call: TracedCall, maps: Maps, at_step: AtStep) -> Taken:
    """Spreads maps at a recurrent layer's output back to its sequence and its first states.

    Args:
        loop, call: The layer; its tensors have a row for each explanation.
        maps: The mass at its output.
        at_step: Spreads through the cell at one step.
    """
    states, steps = states_in_time(loop), tf.shape(loop.sequence)[1]
    numbers, explanations = loop.cell.outputs, tf.shape(maps.high)[0]
    # Of the cell's output at one step and of each state.
    units = [_units(call.output), *map(_units, loop.states)]
    sequence = None
    if loop.position == 0 and loop.is_whole:
        units[0] //= steps
        sequence = [tf.reshape(mass, [tf.shape(mass)[0], steps, units[0]]) for mass in maps]

    def nothing(size: tf.Tensor) -> Maps:
        return Maps(tf.zeros([explanations, size]), tf.zeros([0, size]))

    at_end = [nothing(size) for size in units]
    if sequence is None:
        at_end[loop.position] = maps

    def body(step: tf.Tensor, arriving: list[Maps], lost: tf.Tensor, found: list) -> tuple:
        step -= 1
        mask = None if loop.mask is None else loop.mask[:, time_of(loop, step)]
        passed = list(map(nothing, units))
        if sequence is not None:
            # What arrives at the output of this step.
            own = Maps(*(mass[:, step] for mass in sequence))
            if mask is not None and loop.skips_to_zero:
                own, unseen = _split(own, mask)
                lost += all_mass(unseen)
            arriving = [_add(arriving[0], own), *arriving[1:]]
        if mask is not None:
            parts = [_split(here, mask) for here in arriving]
            arriving, passed = map(list, zip(*parts, strict=True))
        roots: dict[int, Maps] = {}
        for number, here in zip(numbers, arriving, strict=True):
            roots[number] = _add(roots[number], here) if number in roots else here
        tensors = tensors_at(loop, states, step)
        walked = at_step(loop.cell, tensors, roots)
        read, *before = (
            walked.nodes.get(number) or nothing(_units(tensors[number]))
            for number in loop.cell.inputs
        )
        pairs = zip(found, (read.high, full(read.low, read.high)), strict=True)
        found = [array.write(time_of(loop, step), mass) for array, mass in pairs]
        arriving = [passed[0], *map(_add, before, passed[1:])]
        return step, arriving, lost + walked.lost, found

    some = tf.TensorShape([None, None])
    found = [tf.TensorArray(tf.float32, steps, element_shape=some) for _ in maps]
    _, first, lost, found = tf.while_loop(
        lambda step, *_: step > 0,
        body,
        (steps, at_end, tf.zeros([explanations]), found),
        (tf.TensorShape([]), [Maps(some, some)] * len(units), some[:1], [tf.TensorShape(None)] * 2),
        parallel_iterations=1,
    )
    # There is nothing before the first output.
    lost += all_mass(first[0])
    if len(call.followed_inputs) == 1:
        lost += sum(map(all_mass, first[1:]), tf.zeros([]))
        first = []
    return Taken(call.among_inputs([_of_all_steps(found), *first[1:]]), lost)


def _of_all_steps(found: list[tf.TensorArray]) -> Maps:
    """What arrived at each time step of the sequence, as maps of the whole."""
    stacked = [tf.transpose(mass.stack(), [1, 0, 2]) for mass in found]
    high, low = (tf.reshape(m, [tf.shape(m)[0], tf.reduce_prod(tf.shape(m)[1:])]) for m in stacked)
    # Whether anybody was asked why it is low is known for all steps only now.
    return Maps(high, tf.cond(tf.reduce_any(low != 0), lambda: low, lambda: low[:0]))


def _units(tensor: tf.Tensor) -> tf.Tensor:
    return tf.cast(product(dims(tensor)), tf.int32)


def _add(one: Maps, other: Maps) -> Maps:
    return Maps(*map(add, one, other))


def _split(maps: Maps, mask: tf.Tensor) -> tuple[Maps, Maps]:
    """What is of rows for which the (E,) mask is true, and the rest."""
    here, elsewhere = ([rows_where(mass, rows) for mass in maps] for rows in (mask, ~mask))
    return Maps(*here), Maps(*elsewhere)
