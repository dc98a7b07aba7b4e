"""Recurrent layers as plain loops: the cell's graph at every step, back in time."""

from collections import defaultdict

import numpy as np
import tensorflow as tf

from ...graph.compat import keras
from ...graph.graph import Graph
from .plain_call import Child, Memory, Place, PlainCall


def recurrent(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Takes one node back from the last step it can have come from to the first.

    Steps that the mask leaves out only pass outputs and states on.
    """
    if "activations" not in call.notes:
        call.notes["activations"] = _forward(call)
    cell, layer = call.cell, call.layer
    steps, mask = len(call.inputs[0]), _mask(call)
    backwards = getattr(layer, "go_backwards", False)
    is_whole = isinstance(layer, keras.layers.TimeDistributed) or layer.return_sequences
    start, at = steps - 1, place
    if is_whole and call.position == 0:
        start, at = place[0], place[1:]
        time = steps - 1 - start if backwards else start
        if getattr(layer, "zero_output_for_mask", False) and not mask[time]:
            return []
    # What has arrived at the output and the states after a step.
    after: list[Memory] = [defaultdict(float) for _ in cell.outputs]
    after[call.position][at, sign] = 1.0
    children = []
    for step in range(start, -1, -1):
        time = steps - 1 - step if backwards else step
        if not mask[time]:
            continue
        reached = call.walk(cell, call.notes["activations"][step], _at_outputs(cell, after))
        for (where, asked), mass in reached.get(cell.inputs[0], {}).items():
            children.append(Child((time, *where), asked, mass, 0))
        after = [{}, *(reached.get(number, {}) for number in cell.inputs[1:])]
    if len(call.followed) > 1:
        for branch, memory in enumerate(after[1:], 1):
            children += [Child(where, asked, m, branch) for (where, asked), m in memory.items()]
    return children


def _at_outputs(cell: Graph, after: list[Memory]) -> dict[int, Memory]:
    """A cell may have one tensor for its output and a state."""
    found: dict[int, Memory] = {}
    for number, memory in zip(cell.outputs, after, strict=True):
        found.setdefault(number, defaultdict(float))
        for node, mass in memory.items():
            found[number][node] += mass
    return found


def _mask(call: PlainCall) -> np.ndarray:
    if isinstance(call.layer, keras.layers.TimeDistributed) or call.inputs[-1].dtype != bool:
        return np.ones(len(call.inputs[0]), bool)
    return call.inputs[-1]


def _forward(call: PlainCall) -> list[dict[int, np.ndarray]]:
    """The cell's activations at every step."""
    cell, steps, mask = call.cell, len(call.inputs[0]), _mask(call)
    given = [value for value in call.inputs[1:] if value.dtype != bool]
    states = given or [np.zeros(cell.specs[n].shape[1:], np.float32) for n in cell.inputs[1:]]
    if isinstance(call.layer, keras.layers.TimeDistributed):
        states = []
    found = []
    for step in range(steps):
        time = steps - 1 - step if getattr(call.layer, "go_backwards", False) else step
        tensors = cell.replay([tf.constant(v)[None] for v in (call.inputs[0][time], *states)])
        found.append({number: np.asarray(tensor)[0] for number, tensor in tensors.items()})
        if mask[time]:
            states = [found[-1][number] for number in cell.outputs[1:]]
    return found
