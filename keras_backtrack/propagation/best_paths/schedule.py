"""What a walk does at each call, found out once from the rules.

Rules speak in TensorFlow. Where what a rule says is of a common kind, the step is taken in machine
code (`native/`), on activations and constants that are NumPy arrays; of all others a TensorFlow
function is traced.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.graph import Call, Graph
from ...graph.weights import Watch
from ...rules import Rules, followed, reached
from ..kernels import NodeArrays
from ..limits import Limits
from ..nodes import Nodes
from . import lowering as steps
from .interpreter import step_back
from .lowering import State


class Step(NamedTuple):
    """One step of the walk.

    Attributes:
        call, position: The call, and which of its outputs the nodes are at.
        followed: For each input of the call, whether decisions are followed into it.
        reads: Numbers of the tensors whose activations are read.
        stays: Whether nodes stay where they are, so that they need no merging behind.
        take: Takes the nodes and the state of the run, returns the nodes in each input of the call
            and the (E,) mass that ended; None for inputs that are not followed, or if none can.
    """

    call: Call
    position: int
    followed: Sequence[bool]
    reads: Sequence[int]
    stays: bool
    take: Callable[[NodeArrays, State], tuple[list[NodeArrays | None], np.ndarray | None]]


class Plan:
    """The steps of a walk through a graph, last call first.

    Args:
        graph: The calls.
        rules: Which rule serves which of them.
        limits: How many contributions are followed.
    """

    def __init__(self, graph: Graph, rules: Rules, limits: Limits) -> None:
        self._rules = rules
        places = [
            (call, position)
            for call in reversed(reached(graph))
            for position in reversed(range(len(call.outputs)))
        ]
        native: list[Step | None] = []

        def trace() -> list[tf.Tensor]:
            constants: list[tf.Tensor] = []
            native.extend(_native_step(graph, *place, rules, limits, constants) for place in places)
            return constants

        self._constants = tf.function(trace, autograph=False).get_concrete_function()
        self.steps = [
            step or _traced_step(graph, *place, rules, limits)
            for step, place in zip(native, places, strict=True)
        ]
        self.reads = sorted({graph.output}.union(*(step.reads for step in self.steps)))
        # Steps by TensorFlow have added to the layouts, whose copies change with the model alone.
        copies = set(map(id, rules.layouts.copies))
        read = [v for v in _variables_of(self._constants) if id(v) not in copies]
        self._watch = Watch([*rules.layouts.variables, *read])
        self._arrays = self._computed()

    def constants(self) -> list[np.ndarray]:
        """What steps read besides activations, as the model's weights are now."""
        if self._watch.changed():
            self._rules.layouts.refresh()
            self._arrays = self._computed()
            self._watch.renew()
        return self._arrays

    def _computed(self) -> list[np.ndarray]:
        return [np.asarray(tensor) for tensor in self._constants()]


def _variables_of(function: Any) -> list[tf.Variable]:
    """The variables that a function's outputs depend on, rather than all it has come across."""
    reached, found = {tensor.op for tensor in function.outputs}, set()
    while reached:
        found |= reached
        reached = {tensor.op for op in reached for tensor in op.inputs} - found
    read = {id(outer) for outer, inner in function.graph.captures if inner.op in found}
    return [variable for variable in function.graph.variables if id(variable.handle) in read]


def _native_step(
    graph: Graph, call: Call, position: int, rules: Rules, limits: Limits, constants: list
) -> Step | None:
    """A step in machine code, where what the rule says is of a common kind.

    Args:
        constants: To be added to: the tensors that the step reads besides activations.
    """
    numbers = dict.fromkeys([*call.inputs, call.outputs[position]])
    tensors = {n: _placeholder(graph.specs[n]) for n in numbers}
    traced = rules.trace(graph, call, position, tensors)
    native = steps.native(rules.ask(traced), traced, limits)
    if native is None:
        return None
    own = slice(len(constants), len(constants) + len(native.constants))
    constants.extend(native.constants)

    def take(nodes: NodeArrays, state: State):
        return native.take(nodes, state, state.constants[own])

    return Step(call, position, traced.followed, native.reads, native.stays, take)


def _placeholder(spec: tf.TensorSpec) -> tf.Tensor:
    return tf.compat.v1.placeholder(spec.dtype, [None, *spec.shape[1:]])


def _traced_step(graph: Graph, call: Call, position: int, rules: Rules, limits: Limits) -> Step:
    """A step by TensorFlow."""
    follows = followed(graph, call)
    numbers = list(dict.fromkeys([*call.inputs, call.outputs[position]]))
    specs = [
        tf.TensorSpec([None, *graph.specs[n].shape[1:]], graph.specs[n].dtype) for n in numbers
    ]
    nodes = [tf.TensorSpec([None], dtype) for dtype in (tf.int64, tf.float32, tf.float32)]

    @tf.function(input_signature=[specs, nodes, tf.TensorSpec([None], tf.int64)], autograph=False)
    def step(values, nodes, owner):
        tensors = dict(zip(numbers, values, strict=True))
        parts, ended = step_back(
            graph, call, position, tensors, Nodes(*nodes), owner, limits, rules
        )
        parts = [part for part in parts if part is not None]
        return parts, tf.zeros_like(owner, tf.float32) if ended is None else ended

    concrete = step.get_concrete_function()
    given = concrete.graph.inputs[: len(numbers)]
    reads = [n for n, tensor in zip(numbers, given, strict=True) if tensor.consumers()]
    unread = [tf.zeros([size or 0 for size in spec.shape], spec.dtype) for spec in specs]

    def take(found: NodeArrays, state: State):
        values = [state.tensors.get(n, dummy) for n, dummy in zip(numbers, unread, strict=True)]
        given = [tf.convert_to_tensor(field) for field in found]
        parts, ended = step(values, given, state.owner_tensor)
        arrays = iter(NodeArrays(*(field.numpy() for field in part)) for part in parts)
        return [next(arrays) if follow else None for follow in follows], ended.numpy()

    return Step(call, position, follows, reads, False, take)
