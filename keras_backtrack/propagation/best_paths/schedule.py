"""What a walk does at each call, found out once from the rules.

Rules speak in TensorFlow. Where what a rule says is of a common kind, the step is taken in machine
code (`lowering.py`), on activations and constants that are NumPy arrays; of all others a TensorFlow
function is traced (`interpreter.py`).
"""

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.graph import Call, Graph
from ...rules import Rules, followed
from ...rules.contributions import Contributions, Loop
from ..backward import Place, Taken
from ..kernels import NodeArrays, per_explanation
from ..limits import Limits
from ..native import Kept, places_in, reached_from, traced_empty
from ..nodes import Asked, Nodes
from ..over_activations import OverActivations
from ..paths import Batch, Paths
from .interpreter import Interpreter
from .lowering import lowered
from .recurrent import LoopStep, run_in_time


class Step(NamedTuple):
    """One step of the walk.

    Attributes:
        call, position: The call, and which of its outputs the nodes are at.
        reads: Numbers of the tensors whose activations are read.
        take: Takes the nodes and the run of the network.
    """

    call: Call
    position: int
    reads: Sequence[int]
    take: Callable[[NodeArrays, Batch], Taken]


class Schedule:
    """The steps of a walk through a graph, last call first.

    Args:
        graph: The calls.
        rules: Which rule serves which of them.
        limits: How many contributions are followed.
        through_cell: Takes the graph of a recurrent layer's cell, returns the ways back through it.
        start: Numbers of the tensors that walks start from; there are no steps above.

    Attributes:
        steps: As said.
        reads: Numbers of the tensors whose activations they read.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Rules,
        limits: Limits,
        through_cell: Callable[[Graph], Paths],
        start: Collection[int],
    ) -> None:
        places = places_in(graph, reached_from(graph, start))
        found: list[Step | Contributions] = []

        def trace() -> list[tf.Tensor]:
            constants: list[tf.Tensor] = []
            for place in places:
                found.append(_native_step(graph, place, rules, limits, constants))
            return constants

        self._kept = Kept(trace, rules.packed_weights)
        self.steps: list[Step] = []
        for step, place in zip(found, places, strict=True):
            if isinstance(step, Loop):
                step = _loop_step(graph, place, rules, step, through_cell(step.cell))
            elif not isinstance(step, Step):
                step = _traced_step(graph, place, rules, limits)
            self.steps.append(step)
        self.reads = sorted({graph.output}.union(*(step.reads for step in self.steps)))

    @property
    def constants(self) -> list[np.ndarray]:
        """What steps read besides activations, as the model's weights are."""
        return self._kept.arrays


def _native_step(
    graph: Graph, place: Place, rules: Rules, limits: Limits, constants: list[tf.Tensor]
) -> Step | Contributions:
    """A step in machine code where what the rule says is of a common kind, else what it says.

    Args:
        constants: To be added to: the tensors that the step reads besides activations.
    """
    call, position = place
    traced = traced_empty(graph, place, rules)
    kind = rules.ask(traced)
    native = lowered(kind, traced, limits)
    if native is None:
        return kind
    own = slice(len(constants), len(constants) + len(native.constants))
    constants.extend(native.constants)

    def take(nodes: NodeArrays, batch: Batch) -> Taken:
        batch = batch.apart(call)

        def mass_of(part: NodeArrays, place: int) -> np.ndarray:
            size, explanations = math.prod(batch.sizes[call.inputs[place]]), len(batch.image_index)
            return per_explanation(part.index, size, part.mass, explanations)

        taken = native.take(nodes, batch, batch.constants[own]).into(traced, mass_of)
        return taken.of_images(call.rows)

    return Step(call, position, native.reads, take)


def _traced_step(graph: Graph, place: Place, rules: Rules, limits: Limits) -> Step:
    """A step by TensorFlow."""
    follows = followed(graph, place.call)

    def step(tensors: dict[int, tf.Tensor], nodes: Nodes, image_index: tf.Tensor):
        walk = Interpreter(tensors, image_index, limits, rules)
        taken = walk.step(graph, *place, Asked.about(nodes))
        parts = [part.nodes for part in taken.parts if part is not None]
        nothing = tf.zeros_like(image_index, tf.float32)
        return parts, nothing if taken.ended is None else taken.ended

    nodes = Nodes(*(tf.TensorSpec([None], dtype) for dtype in (tf.int64, tf.float32, tf.float32)))
    numbers = [*place.call.inputs, place.call.outputs[place.position]]
    function = OverActivations(step, graph, numbers, nodes, tf.TensorSpec([None], tf.int64))

    def take(found: NodeArrays, batch: Batch) -> Taken:
        given = Nodes(*(tf.convert_to_tensor(field) for field in found))
        parts, ended = function(batch.tensors, given, batch.image_tensor)
        arrays = iter(NodeArrays(*(field.numpy() for field in part)) for part in parts)
        return Taken([next(arrays) if follow else None for follow in follows], ended.numpy())

    return Step(*place, function.reads, take)


def _loop_step(graph: Graph, place: Place, rules: Rules, loop: Loop, cell: Paths) -> Step:
    """A step back in time."""
    numbers = cell.reads(loop.cell.outputs)

    def run(tensors: dict[int, tf.Tensor]) -> tuple:
        kind = rules.ask(rules.trace(graph, *place, tensors))
        assert isinstance(kind, Loop)
        return run_in_time(kind, numbers)

    read = [*place.call.inputs, place.call.outputs[place.position]]
    function = OverActivations(run, graph, read)
    step = LoopStep(place.call, followed(graph, place.call), loop, cell, function)
    return Step(*place, function.reads, step.take)
