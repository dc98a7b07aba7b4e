"""Receptive fields: which rows and columns of the picture the cells of a layer read."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph
from ...graph.layout import brings_channels, places_first
from ...rules import Rules
from ...rules.contributions import (
    At,
    Branches,
    Contributions,
    Extreme,
    Loop,
    Moves,
    Product,
    Same,
    Sum,
    WindowMaximum,
    row_of,
)
from ...rules.linear import ConvolutionSum, DepthwiseSum
from ...rules.pooling import MeanSum
from ...rules.resizing import ResizedSum
from ...rules.traced_call import TracedCall
from ...rules.windows import Windows


class Field(NamedTuple):
    """For each row and each column of a layer's cells, the first and behind the last of the
    picture's rows and columns that it reads: (h, 2) and (w, 2) int. Both 0 where a cell sees
    nothing but padding.
    """

    rows: np.ndarray
    columns: np.ndarray


def receptive_fields(
    graph: Graph, rules: Rules, tensors: dict[int, tf.Tensor], picture: int
) -> dict[int, Field]:
    """The receptive fields along the paths that a walk can take: gates are left out.

    Worked out from windows, strides and moves, axis by axis, borders included.

    Args:
        graph: The calls.
        rules: Which rule serves which of them.
        tensors: Activation of every tensor for one picture, by number.
        picture: Number of the input tensor that holds the picture.

    Returns:
        By tensor number. Tensors without one have no rows and columns, or theirs cannot be told
        from the picture's: the whole picture is a safe answer.
    """
    first = graph.channels_first

    def size_of(number: int) -> tuple[int, ...]:
        return places_first(tuple(tensors[number].shape[1:]), number in first)[:2]

    size = size_of(picture)
    fields = {picture: Field(*(np.stack([np.arange(n), np.arange(n) + 1], 1) for n in size))}
    for call in graph.calls:
        for position, output in enumerate(call.outputs):
            traced = rules.trace(graph, call, position, tensors)
            if len(traced.output.shape) != 4 or not any(traced.followed):
                continue
            contributions, read = rules.ask(traced), [fields.get(n) for n in call.inputs]
            if first.intersection((output, *call.inputs)):
                # Permuted, or unit for unit; others are as if they read all of the picture.
                sizes = {size_of(n) for n, f in zip(call.inputs, read, strict=True) if f}
                is_moved = brings_channels(graph, call) is not None
                is_same = is_moved or isinstance(contributions, Same)
                is_followed = sum(traced.followed) == 1 and sizes == {size_of(output)}
                field = next(filter(None, read)) if is_same and is_followed else None
            else:
                field = _field_of(traced, contributions, read)
            if field is not None:
                fields[output] = field
    return fields


def _field_of(
    call: TracedCall, contributions: Contributions, inputs: list[Field | None]
) -> Field | None:
    followed = {}
    for place, field in enumerate(inputs):
        if call.followed[place]:
            if field is None:
                return None
            followed[place] = field
    return row_of(_ROWS, contributions)(contributions, call, followed)


def _same(kind: Same, call: TracedCall, followed: dict[int, Field]) -> Field | None:
    return _only(followed) if call.output.shape[1:3] == call.input.shape[1:3] else None


def _extreme(kind: Extreme, call: TracedCall, followed: dict[int, Field]) -> Field | None:
    """Which of several is the largest depends on the picture: all of them are read.

    Where there are as many cells as before, they are channels of one cell.
    """
    return _only(followed) if call.output.shape[1:3] == call.input.shape[1:3] else None


def _branches(kind: Branches, call: TracedCall, followed: dict[int, Field]) -> Field:
    return Field(*map(_union, zip(*followed.values(), strict=True), call.output.shape[1:3]))


def _moves(kind: Moves, call: TracedCall, followed: dict[int, Field]) -> Field | None:
    parts = []
    for place, field in followed.items():
        part = _moved(kind, call, place, field)
        if part is None:
            return None
        parts.append(part)
    return Field(*(_union(bounds, len(bounds[0])) for bounds in zip(*parts, strict=True)))


def _windows(kind: Any, call: TracedCall, followed: dict[int, Field]) -> Field:
    windows = Windows.sliding(call.input.shape[1:3], call.output.shape[1:3], kind.slide)
    return Field(*map(_through, _slid(windows), _only(followed)))


def _resized(kind: ResizedSum, call: TracedCall, followed: dict[int, Field]) -> Field:
    read = [_bounds(rows.numpy() != 0) for rows in kind.along]
    return Field(*map(_through, read, _only(followed)))


def _unknown(kind: Contributions, call: TracedCall, followed: dict[int, Field]) -> None:
    """Cells of any place may be read."""


# What serves each kind of contributions; it takes the fields of the followed inputs by their place.
_ROWS: dict[type, Callable[[Any, TracedCall, dict[int, Field]], Field | None]] = {
    Same: _same,
    Branches: _branches,
    WindowMaximum: _windows,
    Extreme: _extreme,
    Moves: _moves,
    ConvolutionSum: _windows,
    DepthwiseSum: _windows,
    MeanSum: _windows,
    ResizedSum: _resized,
    Sum: _unknown,
    Product: _unknown,
    Loop: _unknown,
}


def _only(followed: dict[int, Field]) -> Field:
    """The field of the one input that is followed."""
    (field,) = followed.values()
    return field


def _slid(windows: Windows) -> list[np.ndarray]:
    """For both axes, (output cells, 2): first and behind the last input cell, 0 and 0 for none."""
    found = []
    sizes = windows.offsets, windows.input_dims, windows.output_dims, windows.strides
    for offsets, given, made, stride in zip(*sizes, strict=True):
        out, inside = np.arange(made)[:, None, None], np.arange(given)[None, :, None]
        if windows.transposed:
            out, inside = inside, out
        found.append(_bounds((out * stride + offsets == inside).any(axis=2)))
    return found


def _bounds(reads: np.ndarray) -> np.ndarray:
    """From an (outputs, inputs) bool table of who reads whom to the bounds of each row."""
    first, last = reads.argmax(axis=1), reads.shape[1] - reads[:, ::-1].argmax(axis=1)
    return np.where(reads.any(axis=1, keepdims=True), np.stack([first, last], 1), 0)


def _through(read: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    parts = [_joined(bounds[first:last]) for first, last in read]
    return np.array(parts).reshape(-1, 2)


def _joined(bounds: np.ndarray) -> tuple[int, int]:
    bounds = bounds[bounds[:, 1] > bounds[:, 0]]
    return (int(bounds[:, 0].min()), int(bounds[:, 1].max())) if len(bounds) else (0, 0)


def _union(parts: tuple[np.ndarray, ...], size: int) -> np.ndarray:
    """Of bounds for the same cells; a single cell stands for all, as in broadcasting."""
    stacked = np.stack([np.broadcast_to(part, (size, 2)) for part in parts], axis=1)
    return np.array([_joined(bounds) for bounds in stacked]).reshape(-1, 2)


def _moved(moves: Moves, call: TracedCall, place: int, field: Field) -> Field | None:
    """Follows a row and a column of cells, whose other coordinates do not matter."""
    if len(call.inputs[place].shape) != 4:
        return None
    height, width, channels = call.output.shape[1:]
    _, given_width, given_channels = call.inputs[place].shape[1:]
    found = []
    for axis, count in enumerate((height, width)):
        bounds = np.zeros((count, 2), int)
        # Cells of the middle, since padding has nobody to follow; all channels, since some may
        # come from another input.
        other = (width, height)[axis] // 2
        cell = np.repeat(np.arange(count), channels)
        row, column = (cell, other) if axis == 0 else (other, cell)
        unit = (row * width + column) * channels + np.tile(np.arange(channels), count)
        zeros = tf.zeros(len(unit), tf.int64)
        at = At(zeros, zeros, tf.constant(unit, tf.int64), tf.ones(len(unit)))
        arrival = moves.to(at)[place]
        if arrival is None:
            return None
        here = np.ones(len(unit), bool) if arrival.here is None else arrival.here.numpy()
        cells = arrival.unit.numpy() // given_channels
        along, across = np.divmod(cells, given_width)[:: 1 if axis == 0 else -1]
        if len(np.unique(across[here])) > 1:
            return None
        for c in range(count):
            arrived = along[here & (cell == c)]
            bounds[c] = _joined(field[axis][np.unique(arrived)]) if len(arrived) else (0, 0)
        found.append(bounds)
    return Field(*found)
