"""Numbers that a traced `call` computes beside its inputs: from variables, or from sizes alone."""

from collections.abc import Callable, Container, Mapping, Sequence
from functools import cache
from inspect import signature
from typing import Any

import numpy as np
import tensorflow as tf

from .errors import line_of
from .graph import AtRun, TensorRef

# What tells no more of a tensor than how large it is.
SIZES: dict[str, Callable[[tf.Tensor, tf.DType], tf.Tensor]] = {
    "OnesLike": lambda sizes, dtype: tf.ones(sizes, dtype),
    "Rank": lambda sizes, dtype: tf.size(sizes),
    "Shape": lambda sizes, dtype: tf.cast(sizes, dtype),
    "Size": lambda sizes, dtype: tf.cast(tf.reduce_prod(sizes), dtype),
    "ZerosLike": lambda sizes, dtype: tf.zeros(sizes, dtype),
}


class Computed(AtRun):
    """Stands in a call's arguments for what the call computes itself, each time that it is made.

    Args:
        tensor: The number or numbers, in the graph that was traced.
        operations: What computes it, in order.
        sources: The tensors whose sizes are asked for; no other of their numbers count.
        captured: By name of a placeholder what it stands for: a variable's handle.
    """

    def __init__(
        self,
        tensor: tf.Tensor,
        operations: Sequence[tf.Operation],
        sources: Sequence[tf.Tensor],
        captured: Mapping[str, tf.Tensor],
    ) -> None:
        self.shape, self.dtype, self.sources = tensor.shape, tensor.dtype, tuple(sources)
        self._tensor, self._operations, self._captured = tensor, operations, captured
        self._rows: TensorRef | None = None
        self._is_same = False
        self._refs: dict[str, TensorRef] = {}

    def asking(self, rows: TensorRef, refs: Mapping[str, TensorRef]) -> "Computed":
        """The same for a call of some graph.

        Args:
            rows: The tensor that has as many rows as there are images.
            refs: By name the tensors that must be asked for further sizes.
        """
        other = Computed(self._tensor, self._operations, self.sources, self._captured)
        other._rows, other._refs = rows, dict(refs)
        other._is_same = self.always() is not None
        return other

    def of(self, tensors: Mapping[int, tf.Tensor]) -> tf.Tensor:
        """The numbers, where tensors have these sizes."""
        if self._is_same:
            return self._for_rows(1)
        assert self._rows is not None
        rows = tf.shape(tensors[self._rows.id])[0]
        sizes = {}
        for source in self.sources:
            ref = self._refs.get(source.name)
            sizes[source.name] = _sizes(source, rows, None if ref is None else tensors[ref.id])
        return self._evaluated(sizes)

    def for_one_image(self) -> tf.Tensor | None:
        """The numbers for a batch of one; None where they depend on further sizes."""
        return None if self._is_varying else self._for_rows(1)

    def always(self) -> np.ndarray | None:
        """The numbers, where they are the same for all batches; None where they are not."""
        if self._is_varying:
            return None
        try:
            with tf.init_scope():
                one, other = (np.asarray(self._for_rows(rows)) for rows in (2, 3))
        # Anything may go wrong that asks for a certain number of images.
        except Exception:
            return None
        return one if np.array_equal(one, other) else None

    @property
    def _is_varying(self) -> bool:
        return any(None in source.shape.as_list()[1:] for source in self.sources)

    def _for_rows(self, rows: int) -> tf.Tensor:
        return self._evaluated({s.name: _sizes(s, tf.constant(rows)) for s in self.sources})

    def once(self) -> tf.Tensor:
        """The numbers as they are now, where they do not depend on sizes."""
        return self._evaluated({})

    def reads_variables(self) -> bool:
        """Whether it depends on any variable."""
        made = [tensor for operation in self._operations for tensor in operation.outputs]
        return any(tensor.dtype == tf.resource for tensor in made)

    def _evaluated(self, sizes: Mapping[str, tf.Tensor]) -> tf.Tensor:
        values: dict[str, Any] = {}
        for operation in self._operations:
            if operation.name in self._captured:
                made = [self._captured[operation.name]]
            elif operation.type in SIZES and operation.inputs[0].name in sizes:
                dtype = operation.outputs[0].dtype
                made = [SIZES[operation.type](sizes[operation.inputs[0].name], dtype)]
            else:
                made = run(operation, [values[tensor.name] for tensor in operation.inputs])
            values.update(zip([t.name for t in operation.outputs], made, strict=True))
        return values[self._tensor.name]


def captured_by(graph: Any) -> dict[str, tf.Tensor]:
    """By name of a placeholder in a graph that was traced what it stands for, as for `Computed`."""
    return {inner.op.name: outer for outer, inner in graph.captures}


def computed_of(
    tensor: tf.Tensor,
    live: Container[tf.Tensor],
    captured: Mapping[str, tf.Tensor],
    origin: Callable[[tf.Tensor], tf.Tensor] = lambda tensor: tensor,
) -> Computed:
    """What computes a tensor of a trace that does not depend on the inputs' numbers.

    Args:
        tensor: The tensor.
        live: The tensors that depend on the inputs.
        captured: As for `Computed`.
        origin: Takes a tensor, returns the one that it is handed on from.
    """
    order: dict[str, tf.Operation] = {}
    sources: dict[str, tf.Tensor] = {}
    waiting = [tensor.op]
    while waiting:
        operation = waiting[-1]
        if operation.name in order:
            waiting.pop()
            continue
        if operation.name not in captured and operation.type not in ("Const", "Placeholder"):
            check_runs(operation)
        missing = []
        for read in [] if operation.name in captured else operation.inputs:
            if operation.type in SIZES and read in live:
                sources[read.name] = origin(read)
            elif read.op.name not in order:
                missing.append(read.op)
        waiting += missing
        if not missing:
            order[waiting.pop().name] = operation
    return Computed(tensor, list(order.values()), list(sources.values()), captured)


def _sizes(source: tf.Tensor, rows: tf.Tensor, like: tf.Tensor | None = None) -> tf.Tensor:
    known = source.shape.as_list()
    if not known:
        return tf.zeros([0], tf.int32)
    asked = known if like is None else tf.unstack(tf.shape(like))
    others = [size if size is not None else asked[i] for i, size in enumerate(known)]
    return tf.stack([rows if known[0] is None else known[0], *others[1:]])


def run(operation: tf.Operation, inputs: Sequence[Any]) -> list[Any]:
    """Runs an operation of a graph once more, on other inputs.

    Args:
        operation: One of a graph that was traced.
        inputs: What it gets, as a flat list.

    Returns:
        Its outputs.

    Raises:
        NotImplementedError: If it is of a kind that cannot be run by itself.
    """
    if operation.type == "Const":
        return [tf.constant(_constant_of(operation), operation.outputs[0].dtype)]
    if operation.type in _NO_RAW_OPERATIONS:
        return [_NO_RAW_OPERATIONS[operation.type](*inputs)]
    check_runs(operation)
    function = getattr(tf.raw_ops, operation.type)
    given: dict[str, Any] = {}
    left = list(inputs)
    for name, argument in zip(_inputs(operation), operation.op_def.input_arg, strict=True):
        if argument.number_attr or argument.type_list_attr:
            count = operation.get_attr(argument.number_attr or argument.type_list_attr)
            count = count if isinstance(count, int) else len(count)
            given[name], left = left[:count], left[count:]
        else:
            given[name] = left.pop(0)
    for name in _parameters(operation.type):
        if name not in given:
            given[name] = operation.get_attr(_ATTRIBUTES.get((operation.type, name), name))
    return tf.nest.flatten(function(**given))


def check_runs(operation: tf.Operation) -> None:
    """Raises NotImplementedError for what cannot be run by itself, as `run` does it."""
    is_function = any("func" in attribute.type for attribute in operation.op_def.attr)
    is_known = operation.type in _NO_RAW_OPERATIONS or hasattr(tf.raw_ops, operation.type)
    if is_known and not is_function:
        return
    raise NotImplementedError(
        "TensorFlow runs a function in one piece here, such as a loop, a branch, a tf.function or "
        "what a SavedModel holds, and what is inside is not followed. Received: the operation "
        f"{operation.type}{line_of(operation.traceback)}."
    )


def _overwritten(whole: tf.Tensor, part: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """A tensor with a part that is another's, which does not reach beyond it."""
    size = tf.shape(part, start.dtype)
    start = tf.clip_by_value(start, 0, tf.shape(whole, start.dtype) - size)
    return tf.raw_ops.TensorStridedSliceUpdate(
        input=whole, begin=start, end=start + size, strides=tf.ones_like(start), value=part
    )


_NO_RAW_OPERATIONS = {"XlaDynamicUpdateSlice": _overwritten}

# What operations call settings that `tf.raw_ops` calls otherwise.
_ATTRIBUTES = {("Squeeze", "axis"): "squeeze_dims"}


def _inputs(operation: tf.Operation) -> list[str]:
    """What `tf.raw_ops` calls the inputs, which is not always what the operation calls them."""
    names = [argument.name for argument in operation.op_def.input_arg]
    attributes = [attribute.name for attribute in operation.op_def.attr]
    others = iter(n for n in _parameters(operation.type) if n not in (*names, *attributes))
    return [name if name in _parameters(operation.type) else next(others) for name in names]


@cache
def _parameters(kind: str) -> tuple[str, ...]:
    return tuple(n for n in signature(getattr(tf.raw_ops, kind)).parameters if n != "name")


def _constant_of(operation: tf.Operation) -> np.ndarray:
    return tf.make_ndarray(operation.get_attr("value"))
