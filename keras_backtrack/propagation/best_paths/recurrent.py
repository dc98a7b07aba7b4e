"""Recurrent layers: the walk goes back in time, through the cell's own graph at every step."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...graph.graph import Call
from ...rules.contributions import Loop
from ..activations import Sizes, replay
from ..backward import Taken
from ..kernels import NodeArrays, merge, per_explanation
from ..over_activations import OverActivations
from ..paths import Batch, Paths
from ..recurrent import activations_in_time


@dataclass(frozen=True)
class LoopStep:
    """The step through a recurrent layer.

    Attributes:
        call: The layer's call.
        followed: For each of its inputs, whether decisions are followed into it.
        loop: What the rule says; its settings hold for every run, its tensors do not.
        cell: The ways back through the cell.
        run: Takes the call's tensors; returns the cell's activations in time, the mask and sizes.
    """

    call: Call
    followed: tuple[bool, ...]
    loop: Loop
    cell: Paths
    run: OverActivations

    def take(self, nodes: NodeArrays, batch: Batch) -> Taken:
        """Takes nodes at the layer's output back to its sequence and its first states."""
        loop, graph = self.loop, self.loop.cell
        tensors, mask, varying = self.run(batch.tensors)
        batch = batch.apart(self.call)
        sizes = Sizes(graph).read(varying)
        units = [math.prod(sizes[number]) for number in graph.outputs]
        arrays = {n: tf.cast(tensor, tf.float32).numpy() for n, tensor in tensors.items()}
        steps = batch.sizes[self.call.inputs[0]][0]
        explanations, constants = len(batch.image_index), self.cell.constants()
        nobody = nodes.where(np.zeros(len(nodes.index), bool))
        arriving, sequence = [nobody] * len(units), nobody
        if loop.position == 0 and loop.is_whole:
            sequence = nodes
        else:
            arriving[loop.position] = nodes
        lost, found = np.zeros(explanations), []

        def total(here: NodeArrays, place: int) -> np.ndarray:
            return per_explanation(here.index, units[place], here.mass, explanations)

        for step in range(steps - 1, -1, -1):
            time = steps - 1 - step if loop.is_reversed else step
            # What arrives at the output of this step and at the states after it.
            own = _of_step(sequence, step, steps, units[0])
            sees = None if mask is None else mask.numpy()[batch.image_index, time]
            if sees is not None and loop.skips_to_zero:
                own, unseen = _split(own, units[0], sees)
                lost += total(unseen, 0)
            arriving[0], passed = merge([arriving[0], own]), [nobody] * len(units)
            if sees is not None:
                split = [_split(*pair, sees) for pair in zip(arriving, units, strict=True)]
                arriving, passed = map(list, zip(*split, strict=True))
            roots = _by_number(graph.outputs, arriving)
            held: dict[int, NodeArrays] = {}
            if any(len(own.index) for own in roots.values()):
                here = {number: array[step] for number, array in arrays.items()}
                rest = sizes, batch.images, batch.image_index, constants
                walked = self.cell.back(Batch(here, _AtStep(tensors, step), *rest), roots)
                held, lost = walked.nodes, lost + walked.lost
            read, *states = (held.get(number, nobody) for number in graph.inputs)
            found.append(_at_time(read, time, steps, math.prod(sizes[graph.inputs[0]])))
            arriving = [passed[0], *map(merge, zip(states, passed[1:], strict=True))]
        # There is nothing before the first output.
        lost += total(arriving[0], 0)
        read = NodeArrays(*map(np.concatenate, zip(*found, strict=True)))
        parts = iter([read, *arriving[1:]])
        if sum(self.followed) == 1:
            lost += sum(total(own, place) for place, own in enumerate(arriving[1:], 1))
        taken = Taken([next(parts) if follow else None for follow in self.followed], lost)
        return taken.of_images(self.call.rows)


class _AtStep(dict[int, Any]):
    """A step's activations as tensors, each cut out when it is asked for."""

    def __init__(self, tensors: dict[int, tf.Tensor], step: int) -> None:
        self._tensors, self._step = tensors, step

    def __missing__(self, number: int) -> tf.Tensor:
        return self._tensors[number][self._step]


def run_in_time(loop: Loop, numbers: list[int]) -> tuple:
    """Runs a recurrent layer, in a program that is being traced.

    Args:
        loop: The layer.
        numbers: The cell's tensors that are wanted.

    Returns:
        Those of all steps, (T, N, ...), by number; the mask; the cell's sizes that vary.
    """
    tensors = activations_in_time(loop, numbers)
    first = replay(loop.cell, [loop.sequence[:, 0], *loop.states])
    return tensors, loop.mask, Sizes(loop.cell).trace(first)


def _of_step(nodes: NodeArrays, step: int, steps: int, units: int) -> NodeArrays:
    """Those nodes of a sequence that are in one step, as nodes of a tensor without time."""
    row, unit = np.divmod(nodes.index, units)
    explanation, time = np.divmod(row, steps)
    return nodes._replace(index=explanation * units + unit).where(time == step)


def _at_time(nodes: NodeArrays, time: int, steps: int, units: int) -> NodeArrays:
    """Nodes of one step as nodes of the sequence."""
    row, unit = np.divmod(nodes.index, units)
    return nodes._replace(index=(row * steps + time) * units + unit)


def _split(nodes: NodeArrays, units: int, sees: np.ndarray) -> tuple[NodeArrays, NodeArrays]:
    """The nodes of explanations whose step counts, by an (E,) bool array, and the others."""
    here = sees[nodes.index // units]
    return nodes.where(here), nodes.where(~here)


def _by_number(numbers: tuple[int, ...], arriving: list[NodeArrays]) -> dict[int, NodeArrays]:
    """What arrives at each tensor: a cell may have one for its output and a state."""
    roots: dict[int, NodeArrays] = {}
    for number, here in zip(numbers, arriving, strict=True):
        roots[number] = merge([roots[number], here]) if number in roots else here
    return roots
