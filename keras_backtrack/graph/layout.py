"""Which tensors have their channels before all places, as (channels, rows, columns)."""

from collections.abc import Collection, Iterator
from typing import Any

from . import compat
from .graph import Call, Graph


def channels_first(graph: Graph, data_format: str | None = None) -> frozenset[int]:
    """Numbers of the tensors with the channels first.

    Layers that have them so were recorded with a permutation before and behind; an author may have
    written one out. What acts on each unit alone, or brings branches together, leaves axes as they
    are.

    Args:
        graph: The calls.
        data_format: Of the model's inputs, where it is said; "channels_first" or "channels_last".
    """
    is_first: dict[int, bool] = {}
    if data_format is not None:
        is_first.update((number, data_format == "channels_first") for number in graph.inputs)
    for call in graph.calls:
        to_end = brings_channels(graph, call)
        if to_end is not None:
            is_first.setdefault(call.inputs[0], to_end)
            is_first.setdefault(call.outputs[0], not to_end)
    while True:
        found = dict(_handed_on(graph, is_first))
        if found.keys() <= is_first.keys():
            return frozenset(number for number, first in is_first.items() if first)
        is_first = {**found, **is_first}


def places_first(shape: tuple[int, ...], is_first: bool) -> tuple[int, ...]:
    """Sizes of a tensor's axes in the order of places, channels behind them.

    Args:
        shape: Sizes after the batch axis.
        is_first: Whether the channels are first.
    """
    return (*shape[1:], shape[0]) if is_first else tuple(shape)


def brings_channels(graph: Graph, call: Call) -> bool | None:
    """Whether a permutation brings the first axis to the end, or False for the other way round."""
    if len(call.inputs) != 1 or len(call.outputs) != 1:
        return None
    rank = graph.specs[call.inputs[0]].shape.rank
    if not rank or rank < 3:
        return None
    axes = _permutation(call)
    to_end = [0, *range(2, rank), 1]
    to_front = [0, rank - 1, *range(1, rank - 1)]
    if axes is None or axes not in (to_end, to_front):
        return None
    name = call.name.split("/")[-1].split(":")[0]
    # Of two axes either may be the channels'; then only those that were recorded say which.
    if rank == 3 and name not in ("channels_last", "channels_first"):
        return None
    return name == "channels_last" if rank == 3 else axes == to_end


def _permutation(call: Call) -> list[int] | None:
    if isinstance(call.layer, compat.keras.layers.Permute):
        return [0, *call.layer.dims]
    if compat.operation_name(call.layer) != "transpose":
        return None
    given = compat.arguments(call.layer, call.args, call.kwargs)
    axes: Any = given.get("axes", given.get("perm"))
    return None if axes is None else [int(axis) for axis in axes]


_BROUGHT_TOGETHER = {"add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract"}


def _handed_on(graph: Graph, is_first: dict[int, bool]) -> Iterator[tuple[int, bool]]:
    """From tensors of which it is known to those that have their axes in the same order."""
    for call in graph.calls:
        if _permutation(call) is not None:
            continue
        tensors = _alike(graph, call)
        known = [is_first[number] for number in tensors if number in is_first]
        if known:
            yield from ((number, known[0]) for number in tensors)


def _alike(graph: Graph, call: Call) -> Collection[int]:
    """A call's tensors that have their axes in the same order."""
    shapes = {number: graph.specs[number].shape for number in (*call.inputs, *call.outputs)}
    made = shapes[call.outputs[0]]
    if call.kind.lower() in _BROUGHT_TOGETHER:
        return [number for number, shape in shapes.items() if shape.rank == made.rank]
    return [number for number, shape in shapes.items() if shape[1:].as_list() == made[1:].as_list()]
