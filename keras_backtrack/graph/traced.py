"""A traced `call` as calls of layers and of operations, as Keras would have recorded it."""

from typing import Any

import tensorflow as tf

from . import compat
from .compat import KerasCall
from .computed import Computed, captured_by, check_runs, computed_of
from .errors import line_of
from .recording import Recorded
from .tensorflow_operations import Traced, translated
from .tracing import Part, Trace, trace_call
from .written_out import WrittenOut

# Hands on what it gets.
_ALIASES = ("Identity", "IdentityN", "EnsureShape", "CheckNumerics", "PreventGradient", "Snapshot")


class TracedModel:
    """Calls between tensors of a trace, with the face of a graph model.

    Args:
        trace: What was traced.

    Attributes:
        inputs, outputs: Tensors.
        calls: The calls, in the order they run.
        derives: Whether they hold numbers that were computed from variables.
    """

    def __init__(self, trace: Trace) -> None:
        reading = _Reading(trace)
        self.inputs = trace.inputs
        self.outputs = [reading.needed(tensor) for tensor in trace.outputs]
        self.calls = reading.calls()
        self.derives = reading.derives
        self.output_names = trace.names


def traced(made: KerasCall, may_be_masked: bool = False, is_opened: bool = False) -> Recorded:
    """What a layer's `call` does, for one call of it, traced; as `record_call`."""
    trace = trace_call(made, may_be_masked, is_opened)
    return Recorded(TracedModel(trace), trace.masked)


def _of_sizes(tensor: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """A tensor of the network that is made of another's sizes alone."""
    return tf.identity(value)


def _check_rank(tensor: tf.Tensor) -> None:
    if tensor.dtype not in (tf.resource, tf.variant) and tensor.shape.rank is None:
        raise NotImplementedError(
            "How many axes a tensor has must be known, as tf.ensure_shape says it. Received: what "
            f"the operation {tensor.op.type} makes{line_of(tensor.op.traceback)}."
        )


class _Reading:
    """Reads calls back from a trace, from its end."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._written = WrittenOut(trace)
        self._parts = {t.op.name: part for part in trace.parts for t in part.outputs}
        handles = {id(v.handle): v for v in trace.graph.variables}
        self._captured = captured_by(trace.graph)
        self._variables = {
            name: handles[id(outer)]
            for name, outer in self._captured.items()
            if id(outer) in handles
        }
        self.derives = False
        self._sized: dict[str, tf.Tensor] = {}
        self._wanted: dict[str, tf.Operation] = {}

    def needed(self, tensor: Any) -> Any:
        """Notes that a tensor is read as one of the network."""
        tensor = self._origin(tensor)
        if tensor in self._trace.live:
            self._wanted[tensor.op.name] = tensor.op
            return tensor
        self._sized[tensor.name] = tensor
        for source in self._computed(tensor).sources or self._trace.inputs[:1]:
            self.needed(source)
        return tensor

    def calls(self) -> list[KerasCall]:
        """The calls that lead to what was needed, in the order they run."""
        found: list[KerasCall] = []
        done: set[int] = set()
        inputs = {tensor.op.name for tensor in self._trace.inputs}
        # Each is behind all that it reads.
        for operation in reversed(self._written.operations):
            part = self._parts.get(operation.name)
            if operation.name in inputs:
                continue
            sized = [t for t in operation.outputs if t.name in self._sized]
            found += [self._as_tensor(tensor) for tensor in sized]
            if operation.name not in self._wanted or id(part) in done:
                continue
            if part is None:
                found.append(self._operation(operation))
            else:
                done.add(id(part))
                found.append(self._part(part))
        return found[::-1]

    def _part(self, part: Part) -> KerasCall:
        args, kwargs = tf.nest.map_structure(self._argument_of_layer, (part.args, part.kwargs))
        return KerasCall(part.layer, args, kwargs, part.outputs)

    def _operation(self, operation: tf.Operation) -> KerasCall:
        check_runs(operation)
        for tensor in operation.outputs:
            _check_rank(tensor)
        layer, args, kwargs = translated(operation, Traced(operation, self._argument))
        if isinstance(layer, compat.Operation):
            layer.line = line_of(operation.traceback)
        return KerasCall(layer, args, kwargs, list(operation.outputs))

    def _as_tensor(self, tensor: tf.Tensor) -> KerasCall:
        _check_rank(tensor)
        computed = self._computed(tensor)
        first = (computed.sources or self._trace.inputs)[0]
        self.needed(first)
        return KerasCall(
            compat.Operation("sizes", _of_sizes), (first, self._argument(tensor)), {}, [tensor]
        )

    def _argument_of_layer(self, value: Any) -> Any:
        """A layer's argument: layers take tensors of the network, and constants."""
        if not compat.is_symbolic(value):
            return value
        value = self._origin(value)
        if value in self._trace.live:
            return self.needed(value)
        found = self._argument(value)
        if not isinstance(found, Computed):
            return found
        if found.sources:
            return self.needed(value)
        self.derives = True
        return found.once()

    def _argument(self, tensor: Any) -> Any:
        """What an operation reads: a tensor of the network, a variable, numbers, or `Computed`."""
        tensor = self._origin(tensor)
        if tensor in self._trace.live:
            return self.needed(tensor)
        handle = tensor.op.inputs[0] if tensor.op.type == "ReadVariableOp" else tensor
        if handle.op.name in self._variables:
            return self._variables[handle.op.name]
        computed = self._computed(tensor)
        if not computed.reads_variables():
            value = computed.always()
            if value is not None:
                return tf.constant(value, tensor.dtype)
        for source in computed.sources:
            self.needed(source)
        return computed

    def _origin(self, tensor: tf.Tensor) -> tf.Tensor:
        while True:
            if tensor.name in self._written.stands_for:
                tensor = self._written.stands_for[tensor.name]
            elif tensor.op.type in _ALIASES and tensor.op.name not in self._parts:
                tensor = tensor.op.inputs[tensor.value_index]
            else:
                return tensor

    def _computed(self, tensor: tf.Tensor) -> Computed:
        return computed_of(tensor, self._trace.live, self._captured, self._origin)
