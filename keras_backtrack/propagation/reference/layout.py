"""Which tensors have their channels before their places: the reference's own answer."""

from ...graph.compat import arguments, keras, operation_name
from ...graph.graph import Call, Graph
from .plain_call import Place

_JOINED = ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")


def channels_first(graph: Graph) -> set[int]:
    """Numbers of the tensors before a permutation that brings their first axis to the end, behind
    one that brings it to the front, and all that are tied to these by steps that keep axes."""
    sides: dict[bool, set[int]] = {True: set(), False: set()}
    for call in graph.calls:
        for is_to_end in (True, False):
            if _turns(graph, call, is_to_end):
                sides[is_to_end].add(call.inputs[0])
                sides[not is_to_end].add(call.outputs[0])
    for _ in graph.calls:
        for call in graph.calls:
            if _axes(call) is None:
                tied = _tied(graph, call)
                for own, other in (sides.values(), reversed(list(sides.values()))):
                    if own & tied and not other & tied:
                        own |= tied
    return sides[True]


def placed(shape: tuple[int, ...], is_first: bool) -> tuple[int, ...]:
    """A shape, or a place in it, with what is of places before what is of channels."""
    return shape[1:] + shape[:1] if is_first else shape


def cell(place: Place, is_first: bool) -> Place:
    """Where a unit is, whichever its channel."""
    return placed(place, is_first)[:-1]


def _axes(call: Call) -> list[int] | None:
    if isinstance(call.layer, keras.layers.Permute):
        return [0, *call.layer.dims]
    if operation_name(call.layer) == "transpose":
        given = arguments(call.layer, call.args, call.kwargs)
        return list(given.get("axes") or given["perm"])
    return None


def _turns(graph: Graph, call: Call, is_to_end: bool) -> bool:
    axes = _axes(call)
    own_name = call.name.split("/")[-1].split(":")[0]
    if axes is None or len(axes) < 3:
        return False
    if len(axes) == 3:
        return own_name == ("channels_last" if is_to_end else "channels_first")
    around = [0, *range(2, len(axes)), 1] if is_to_end else [0, len(axes) - 1]
    return axes[: len(around)] == around and (is_to_end or axes[2:] == sorted(axes[2:]))


def _tied(graph: Graph, call: Call) -> set[int]:
    (made, *_) = call.outputs
    shape = graph.specs[made].shape
    numbers = {*call.inputs, *call.outputs}
    name = type(call.layer).__name__
    if name in _JOINED or (operation_name(call.layer) or "").capitalize() in _JOINED:
        return {n for n in numbers if len(graph.specs[n].shape) == len(shape)}
    return {n for n in numbers if graph.specs[n].shape[1:].as_list() == shape[1:].as_list()}
