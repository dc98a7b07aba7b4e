"""Traced operations that are several others put together, written out as those."""

from typing import Any

import tensorflow as tf

from .complex_numbers import OF_COMPLEX, OF_EACH_PART, Parts
from .computed import captured_by, computed_of, run
from .sums_along_axes import resized_by
from .tracing import Trace


class WrittenOut:
    """The operations of a trace, some written out where they stood.

    Args:
        trace: The trace; operations are added to its graph.

    Attributes:
        operations: Each is behind all that it reads.
        stands_for: By name of a tensor the one that has taken its place.
    """

    def __init__(self, trace: Trace) -> None:
        self.operations: list[tf.Operation] = []
        self.stands_for: dict[str, tf.Tensor] = {}
        self._parts: dict[str, Parts] = {}
        self._trace = trace
        # What is complex outside as well is no two tensors there.
        is_closed = not any(t.dtype.is_complex for t in (*trace.inputs, *trace.outputs))
        for operation in trace.graph.get_operations():
            is_composed = operation.type in _OF_REAL or (is_closed and _is_complex(operation))
            is_asked = is_composed and any(t in trace.live for t in operation.outputs)
            made = self._written(operation) if is_asked else None
            if made is None:
                self.operations.append(operation)
                continue
            for old, new in zip(operation.outputs, made, strict=True):
                if isinstance(new, Parts):
                    self._parts[old.name] = new
                else:
                    self.stands_for[old.name] = new

    def _written(self, operation: tf.Operation) -> list[Any] | None:
        """What takes the place of an operation's outputs; None where nobody knows it."""
        before = len(self._trace.graph.get_operations())
        with self._trace.graph.as_default(), self._trace.graph.control_dependencies(None):
            try:
                made = _made(operation, [self._read(tensor) for tensor in operation.inputs])
            # What is left as it is has no rule, which is told of.
            except (NotImplementedError, TypeError, ValueError):
                return None
        self.operations += self._trace.graph.get_operations()[before:]
        return made

    def _read(self, tensor: tf.Tensor) -> Any:
        if not tensor.dtype.is_complex:
            tensor = self.stands_for.get(tensor.name, tensor)
            return tensor if tensor in self._trace.live else self._constant(tensor)
        if tensor.name in self._parts:
            return self._parts[tensor.name]
        return Parts(tf.math.real(tensor), tf.math.imag(tensor))

    def _constant(self, tensor: tf.Tensor) -> tf.Tensor:
        """A tensor as numbers, where these are always the same."""
        computed = computed_of(tensor, self._trace.live, captured_by(self._trace.graph))
        value = None if computed.reads_variables() else computed.always()
        return tensor if value is None else tf.constant(value, tensor.dtype)


def _is_complex(operation: tf.Operation) -> bool:
    return any(t.dtype.is_complex for t in (*operation.inputs, *operation.outputs))


def _made(operation: tf.Operation, read: list[Any]) -> list[Any]:
    write: Any = _OF_REAL.get(operation.type) or OF_COMPLEX.get(operation.type)
    if write is not None:
        return [write(operation, *read)]
    if operation.type not in OF_EACH_PART:
        raise NotImplementedError(operation.type)
    pairs = [value if isinstance(value, Parts) else Parts(value, value) for value in read]
    real = run(operation, [pair.real for pair in pairs])
    if all(v.imaginary is None for v in read if isinstance(v, Parts)):
        return [Parts(part, None) for part in real]
    others = [tf.zeros_like(p.real) if p.imaginary is None else p.imaginary for p in pairs]
    return [Parts(*pair) for pair in zip(real, run(operation, others), strict=True)]


def _squared_difference(operation: tf.Operation, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.square(tf.subtract(one, other))


_OF_REAL = {
    "ResizeArea": resized_by,
    "ResizeBicubic": resized_by,
    "ScaleAndTranslate": resized_by,
    "SquaredDifference": _squared_difference,
}
