"""Recurrent layers: mass goes back in time, through the cell's own graph at every step.

The way is one for nodes and for the mass of every unit, which differ in how they are cut, joined
and added up: each is a `Travels`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import tensorflow as tf

from ..graph.graph import Graph
from ..rules.contributions import Loop
from ..rules.indexing import dims, product
from ..rules.traced_call import TracedCall
from .backward import Taken
from .nodes import Walked

# Takes a cell, its tensors at one step and what arrived at some of them.
AtStep = Callable[[Graph, dict[int, tf.Tensor], dict[int, Any]], Walked]


class Travels(Protocol):
    """What travels back through a loop: nodes, or maps.

    `place` counts the cell's outputs: 0 is its output at each step, i the i-th state.
    """

    @property
    def at_end(self) -> list[Any]:
        """What there is after the last step, of each place."""

    def nothing(self, place: int) -> Any:
        """Of a place, none."""

    def of_step(self, step: tf.Tensor) -> Any:
        """What is in the output of one step, where the whole sequence was put out."""

    def split(self, here: Any, place: int, mask: tf.Tensor) -> tuple[Any, Any]:
        """What is of images whose step counts, by the (N,) mask, and the rest."""

    def add(self, one: Any, other: Any) -> Any:
        """Both together."""

    def total(self, here: Any, place: int) -> tf.Tensor:
        """The (E,) mass."""

    def collector(self) -> list[tf.TensorArray]:
        """For what arrives in the sequence."""

    def collect(
        self, found: list[tf.TensorArray], read: Any, step: tf.Tensor, time: tf.Tensor
    ) -> list[tf.TensorArray]:
        """Adds what arrived in one time step; None for nothing."""

    def collected(self, found: list[tf.TensorArray]) -> Any:
        """All that arrived in the sequence."""

    def shapes(self) -> Any:
        """Of `at_end`, for TensorFlow's loop."""


def back_in_time(loop: Loop, call: TracedCall, here: Travels, at_step: AtStep) -> Taken:
    """Takes what is at a recurrent layer's output back to its sequence and its first states.

    Args:
        loop, call: The layer.
        here: What travels.
        at_step: Goes back through the cell at one step.
    """
    before, steps = _states_before(loop), tf.shape(loop.sequence)[1]
    outputs = loop.cell.outputs

    def body(step: tf.Tensor, arriving: Sequence[Any], lost: tf.Tensor, found: list) -> tuple:
        step -= 1
        mask = None if loop.mask is None else loop.mask[:, time_of(loop, step)]
        # What arrives at the output of this step and at the states after it.
        own = here.of_step(step)
        if mask is not None and loop.skips_to_zero:
            own, unseen = here.split(own, 0, mask)
            lost += here.total(unseen, 0)
        arriving = [here.add(arriving[0], own), *arriving[1:]]
        passed = [here.nothing(place) for place in range(len(outputs))]
        if mask is not None:
            parts = [here.split(part, place, mask) for place, part in enumerate(arriving)]
            arriving, passed = map(list, zip(*parts, strict=True))
        roots: dict[int, Any] = {}
        for number, part in zip(outputs, arriving, strict=True):
            roots[number] = here.add(roots[number], part) if number in roots else part
        walked = at_step(loop.cell, _at(loop, step, before), roots)
        read, *states = (walked.nodes.get(number) for number in loop.cell.inputs)
        found = here.collect(found, read, step, time_of(loop, step))
        states = [
            passed[place] if part is None else here.add(part, passed[place])
            for place, part in enumerate(states, 1)
        ]
        return step, [passed[0], *states], lost + walked.lost, found

    found = here.collector()
    shapes = tf.TensorShape([]), here.shapes(), tf.TensorShape([None]), _any_shape(found)
    _, first, lost, found = tf.while_loop(
        lambda step, *_: step > 0,
        body,
        (steps, here.at_end, tf.zeros_like(here.total(here.nothing(0), 0)), found),
        shapes,
        parallel_iterations=1,
    )
    # There is nothing before the first output.
    lost += here.total(first[0], 0)
    states = first[1:]
    if len(call.followed_inputs) == 1:
        lost += sum(here.total(part, place) for place, part in enumerate(states, 1))
        states = []
    return Taken(call.among_inputs([here.collected(found), *states]), lost)


def _states_before(loop: Loop) -> list[tf.TensorArray]:
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


def _at(loop: Loop, step: tf.Tensor, before: list[tf.TensorArray]) -> dict[int, tf.Tensor]:
    """The cell's tensors at one step."""
    read = loop.sequence[:, time_of(loop, step)]
    return loop.cell.replay([read, *(array.read(step) for array in before)])


def time_of(loop: Loop, step: tf.Tensor) -> tf.Tensor:
    """Which time step of the sequence is read at a step of the loop."""
    return tf.shape(loop.sequence)[1] - 1 - step if loop.is_reversed else step


def units_of(tensor: tf.Tensor) -> tf.Tensor:
    """Units in one row of a tensor, int64."""
    return tf.cast(product(dims(tensor)), tf.int64)


def place_units(loop: Loop, call: TracedCall) -> list[tf.Tensor]:
    """Units of the cell's output at one step and of each state, int64."""
    each = units_of(call.output)
    if loop.is_whole and loop.position == 0:
        each //= tf.shape(loop.sequence, tf.int64)[1]
    return [each, *(units_of(state) for state in loop.states)]


def _like(mask: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    return tf.reshape(mask, [-1] + [1] * (tensor.shape.rank - 1))


def _any_shape(arrays: list[tf.TensorArray]) -> list[tf.TensorShape]:
    return [tf.TensorShape(None)] * len(arrays)
