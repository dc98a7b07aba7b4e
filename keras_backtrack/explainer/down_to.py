"""The layer where a way back is to end, found and checked."""

from typing import Any

from ..graph.graph import Graph
from ..propagation.landmarks import Landmarks, cuts


def end_of_way(graph: Graph, down_to: Any) -> int:
    """Number of the tensor where the way back ends.

    Args:
        graph: The model's calls.
        down_to: Name of its layer.

    Raises:
        TypeError: If it is no name.
        ValueError: If there is no such layer, or it is no map that everything comes through.
    """
    if not isinstance(down_to, str):
        raise TypeError(f"`down_to` must be the name of a layer, or None. Received: {down_to!r}.")
    name = graph.resolve(down_to)
    fit: list[str] = []
    for source in graph.inputs:
        axes = graph.specs[source].shape.rank
        maps = [n for n in cuts(graph, source) if graph.specs[n].shape.rank == axes]
        fit.extend(graph.names[number] for number in maps)
    if name not in fit:
        raise ValueError(
            "`down_to` must name a layer that everything comes through on its way to the input, "
            f"with as many axes as the input. Such layers are {_some(fit)}. Received: {down_to!r}."
        )
    return graph.numbers[name]


def check_below_last_map(graph: Graph, end: int, found: Landmarks) -> None:
    """Raises ValueError where a way back would end above the map that contrast begins at."""
    for source, last in found.last_maps.items():
        way = cuts(graph, source)
        if end in way and last in way and way.index(end) < way.index(last):
            raise ValueError(
                "With contrast places are told apart at the last map, "
                f"{graph.names[last]!r}: `down_to` must name it or a layer below, or ask with "
                f"contrast=False. Received: {graph.names[end]!r}."
            )


def _some(names: list[str]) -> str:
    """As many names as can be read, evenly spaced."""
    step = -(-len(names) // 12)
    return ", ".join(names[::step]) or "none"
