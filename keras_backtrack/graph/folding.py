"""Axes that are folded into the batch and back, as windows of attention or frames of a video are.

What a reshape makes of N images may have N·k rows, k behind one another for each image; layers take
them for images, until another reshape brings them back. A graph's tensors keep a row for each
image: these have shape (N, k, ...). Only while a layer runs, or a rule is asked about it, are they
(N·k, ...).
"""

import math
from dataclasses import replace

import tensorflow as tf

from . import compat
from .errors import UnsupportedModelError
from .graph import Call, Graph

_RESHAPES = ("ravel", "reshape")
_IMAGES = 997  # a prime; what is so many times as long has a batch axis


def folded(graph: Graph) -> Graph:
    """The graph with its folded tensors as such.

    Args:
        graph: The calls, as they were read.

    Raises:
        UnsupportedModelError: If something else than a reshape folds an axis into the batch, or
            the output is folded.
    """
    if not any(_may_fold(graph, call) for call in graph.calls):
        return graph
    shapes = _shapes(graph)
    rows = {n: _rows(graph, n, shape) for n, shape in shapes.items()}
    many = {n: count for n, count in rows.items() if count > 1}
    if not many:
        return graph
    for call in graph.calls:
        _check(graph, call, rows)
    if graph.output in many:
        raise UnsupportedModelError(
            "The output must have one row for each image of the batch: bring back what was folded "
            "into it, as with `keras.ops.reshape(y, (-1, frames, classes))`. "
            f"Received: {many[graph.output]} rows for each image."
        )
    calls = [
        replace(call, folded={n: many[n] for n in (*call.inputs, *call.outputs) if n in many})
        for call in graph.calls
    ]
    return replace(
        graph,
        calls=tuple(calls),
        specs={
            n: _stacked(spec, many[n], shapes[n]) if n in many else spec
            for n, spec in graph.specs.items()
        },
        channels_first=graph.channels_first.difference(many),
    )


def _may_fold(graph: Graph, call: Call) -> bool:
    """Whether a reshape may make another number of rows than it reads."""
    if compat.operation_name(call.layer) not in _RESHAPES or call.outputs[0] in graph.constants:
        return False
    units = [_units(graph, n) for n in (call.inputs[0], call.outputs[0])]
    return None in units or units[0] != units[1]


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

    def run(*tensors: tf.Tensor) -> dict[int, tf.Tensor]:
        return graph.replay(tensors)

    return tf.function(run, autograph=False).get_concrete_function(*given).output_shapes


def _rows(graph: Graph, number: int, shape: tf.TensorShape) -> int:
    """How many rows of an image a tensor holds; 1 as well where it has none of them."""
    images = graph.specs[graph.inputs[0]].shape[0] or _IMAGES
    is_known = shape.rank and shape.is_fully_defined() and shape[0] % images == 0
    return shape[0] // images if is_known else 1


def _check(graph: Graph, call: Call, rows: dict[int, int]) -> None:
    if graph.constants.issuperset(call.outputs):
        return
    read = [n for n in call.inputs[: call.operands_read] if n not in graph.constants]
    counts = {rows[n] for n in (*read, *call.outputs)}
    if len(counts) > 1 and compat.operation_name(call.layer) not in _RESHAPES:
        raise UnsupportedModelError(
            "Only a reshape may fold an axis into the batch, or bring it back. Received: "
            f"{call.describe()}, which makes {rows[call.outputs[0]]} rows for each image out of "
            + " and ".join(f"the {rows[n]} of {graph.names[n]!r}" for n in read)
            + "."
        )


def _stacked(spec: tf.TensorSpec, rows: int, shape: tf.TensorShape) -> tf.TensorSpec:
    images = None if spec.shape[0] is None else spec.shape[0] // rows
    return tf.TensorSpec([images, rows, *shape[1:]], spec.dtype)
