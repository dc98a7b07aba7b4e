"""Batch axes that layers have elsewhere: axes are folded into them and back, or they are moved.

What a reshape makes of N images may have N·k rows, k behind one another for each image, as windows
of attention or frames of a video have; layers take them for images, until another reshape brings
them back. And a transposition may bring queries, keys and values in front of the batch, to be told
apart there. A graph's tensors keep a row for each image, first: what is folded is (N, k, ...). Only
while a layer runs is it otherwise; rules are asked about (N·k, ...).
"""

import math
from dataclasses import replace

import tensorflow as tf

from . import compat
from .errors import UnsupportedModelError
from .graph import Call, Graph

_RESHAPES = ("ravel", "reshape")
# What only moves units about may be done to a tensor whose batch axis is elsewhere.
_MOVES = (
    *("expanddims", "flip", "gather", "getitem", "moveaxis", "slice", "split", "squeeze"),
    *("stridedslice", "swapaxes", "take", "transpose", "unstack"),
)
_IMAGES = 997  # a prime; what is so many times as long has a batch axis


def folded(graph: Graph) -> Graph:
    """The graph with its folded tensors as such, and those whose batch axis is elsewhere.

    Args:
        graph: The calls, as they were read.

    Raises:
        UnsupportedModelError: If something else than a reshape folds an axis into the batch, or
            the output is folded.
    """
    if not any(_may_fold(graph, call) for call in graph.calls):
        return graph
    shapes = _shapes(graph)
    axes = {n: _batch_axis(graph, n, shape) for n, shape in shapes.items()}
    rows = {n: _rows(graph, shape[axes[n]]) if shape.rank else 1 for n, shape in shapes.items()}
    many = {n: count for n, count in rows.items() if count > 1}
    moved = {n: axis for n, axis in axes.items() if axis}
    if not many and not moved:
        return graph
    for call in graph.calls:
        _check(graph, call, rows, moved)
    if graph.output in many:
        raise UnsupportedModelError(
            "The output must have one row for each image of the batch: bring back what was folded "
            "into it, as with `keras.ops.reshape(y, (-1, frames, classes))`. "
            f"Received: {many[graph.output]} rows for each image."
        )
    return replace(
        graph,
        calls=tuple(
            replace(call, folded=_of(call, many), batch_at=_of(call, moved)) for call in graph.calls
        ),
        specs={
            n: _stacked(spec, shapes[n], axes[n], many.get(n)) if n in {*many, *moved} else spec
            for n, spec in graph.specs.items()
        },
        channels_first=graph.channels_first.difference(many, moved),
    )


def _of(call: Call, found: dict[int, int]) -> dict[int, int]:
    return {n: found[n] for n in (*call.inputs, *call.outputs) if n in found}


def _may_fold(graph: Graph, call: Call) -> bool:
    """Whether a reshape may make another number of rows than it reads, or the batch axis moves."""
    name = compat.operation_name(call.layer)
    if call.outputs[0] in graph.constants or name is None:
        return False
    if name in _RESHAPES:
        units = [_units(graph, n) for n in (call.inputs[0], call.outputs[0])]
        return None in units or units[0] != units[1]
    first, made = (graph.specs[n].shape for n in (graph.inputs[0], call.outputs[0]))
    return name in _MOVES and first[0] is None and bool(made.rank) and made[0] is not None


def _units(graph: Graph, number: int) -> int | None:
    """How many units a row of a tensor has; None where that is not known."""
    shape = graph.specs[number].shape
    sizes = shape[1:].as_list() if shape.rank else [None]
    return None if None in sizes else math.prod(sizes)


def _shapes(graph: Graph) -> dict[int, tf.TensorShape]:
    """By tensor number the shapes for so many images; none where inputs may be of any size."""
    specs = [graph.specs[n] for n in graph.inputs]
    if not all(spec.shape[1:].is_fully_defined() for spec in specs):
        return {}
    given = [tf.TensorSpec([s.shape[0] or _IMAGES, *s.shape[1:]], s.dtype) for s in specs]
    return graph.shapes_for(given)


def _batch_axis(graph: Graph, number: int, shape: tf.TensorShape) -> int:
    """Which axis of a tensor is that of the batch; the first as well where none is."""
    if not shape.rank or not shape.is_fully_defined() or _rows(graph, shape[0], 0):
        return 0
    # Where the batch has a size of its own, others may have it, too.
    is_known = graph.specs[graph.inputs[0]].shape[0] is not None or number in graph.constants
    found = [axis for axis, size in enumerate(shape) if size % _IMAGES == 0 and size]
    return found[0] if len(found) == 1 and not is_known else 0


def _rows(graph: Graph, size: int | None, otherwise: int = 1) -> int:
    """How many rows of an image are on an axis, if it is the batch's."""
    images = graph.specs[graph.inputs[0]].shape[0] or _IMAGES
    return size // images if size and size % images == 0 else otherwise


def _check(graph: Graph, call: Call, rows: dict[int, int], moved: dict[int, int]) -> None:
    if graph.constants.issuperset(call.outputs):
        return
    read = [n for n in call.inputs[: call.operands_read] if n not in graph.constants]
    counts, name = {rows[n] for n in (*read, *call.outputs)}, compat.operation_name(call.layer)
    if len(counts) > 1 and name not in _RESHAPES:
        raise UnsupportedModelError(
            "Only a reshape may fold an axis into the batch, or bring it back. Received: "
            f"{call.describe()}, which makes {rows[call.outputs[0]]} rows for each image out of "
            + " and ".join(f"the {rows[n]} of {graph.names[n]!r}" for n in read)
            + "."
        )
    if moved.keys() & {*read, *call.outputs} and name not in _MOVES:
        raise UnsupportedModelError(
            "Where the batch axis is not the first one, units can be moved about and nothing else "
            f"be done to them. Received: {call.describe()}, for which the batch axis is "
            + " and ".join(f"{moved.get(n, 0)} of {graph.names[n]!r}" for n in read)
            + "."
        )


def _stacked(
    spec: tf.TensorSpec, shape: tf.TensorShape, axis: int, rows: int | None
) -> tf.TensorSpec:
    images = spec.shape[axis]
    if images is not None and rows is not None:
        images //= rows
    others = [size for place, size in enumerate(shape) if place != axis]
    return tf.TensorSpec([images, *([] if rows is None else [rows]), *others], spec.dtype)
