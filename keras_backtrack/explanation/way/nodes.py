"""The nodes a page shows: for each layer the heaviest, with what ties them to one another."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ...propagation.best_paths.retracing import Edges
from ...propagation.nodes import Held
from .layers import Shown

_CHILDREN = 4  # contributions listed for a node
_CHANNELS = 8  # channels listed for a layer

NOBODY = Held(np.zeros(0, np.int64), np.zeros(0, np.int8), np.zeros(0, np.float32))


class Links(NamedTuple):
    """Edges between shown layers, from those above. Arrays are (L,).

    Attributes:
        above: int32, place of the layer among the shown.
        parent, child: int32, which of the nodes held above and below; child -1 where unknown.
        unit: int64, the contributing unit below.
        mass: float32.
    """

    above: np.ndarray
    parent: np.ndarray
    child: np.ndarray
    unit: np.ndarray
    mass: np.ndarray


def links(steps: Iterable[Edges], held: dict[int, Held], shown: Shown) -> dict[int, Links]:
    """The steps of one explanation, from the output down, as edges between shown layers.

    Returns:
        By place of the layer below.
    """
    # Of a tensor that is not shown: the shown one above it, and which node there each came from.
    carried: dict[int, tuple[int, np.ndarray]] = {}
    found: dict[int, list[Links]] = defaultdict(list)
    for edges in steps:
        if edges.above in carried:
            above, origin = carried[edges.above]
            parent = origin[edges.parent]
        else:
            above, parent = shown.place(edges.above), edges.parent
        if edges.below in shown.folded:
            carried[edges.below] = above, _carried(edges, parent, held)
            continue
        rows = np.full(len(parent), above, np.int32), parent, edges.child, edges.unit, edges.mass
        found[shown.place(edges.below)].append(Links(*rows))
    joined = {
        below: Links(*(np.concatenate(field) for field in zip(*parts, strict=True)))
        for below, parts in found.items()
    }
    return {
        below: links
        for below, links in joined.items()
        if _add_up(links, held[shown.numbers[below]])
    }


def _add_up(links: Links, nodes: Held) -> bool:
    """Whether links bring nodes the mass they hold: a walk of the difference of two classes starts
    with a step of its own.
    """
    known = links.child >= 0
    arrived = np.bincount(links.child[known], links.mass[known], minlength=len(nodes.mass))
    return bool(np.abs(arrived - nodes.mass).sum() <= 1e-2 * nodes.mass.sum())


def _carried(edges: Edges, parent: np.ndarray, held: dict[int, Held]) -> np.ndarray:
    place = np.full(len(held[edges.below].unit), -1)
    known = edges.child >= 0
    place[edges.child[known]] = parent[known]
    return place


def chosen(
    held: list[Held], found: dict[int, Links], most: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Which nodes of each layer are shown: the heaviest, and everybody on their best way up.

    Args:
        held: The nodes of each shown layer, from the input to the output.
        found: What `links` returned.
        most: How many of the heaviest.

    Returns:
        For each layer the chosen nodes, the heaviest first, and for each node held there the link
        that brought it the most mass, -1 for none.
    """
    required: list[set[int]] = [set() for _ in held]
    picks, best = [], []
    for place, nodes in enumerate(held):
        heaviest = np.argsort(-nodes.mass, kind="stable")[:most]
        pick = np.array(sorted({*heaviest.tolist(), *required[place]}), int)
        picks.append(pick[np.argsort(-nodes.mass[pick], kind="stable")])
        best.append(np.full(len(nodes.unit), -1))
        if place not in found:
            continue
        links = found[place]
        order = np.argsort(links.mass, kind="stable")
        order = order[(links.child[order] >= 0) & (links.parent[order] >= 0)]
        best[place][links.child[order]] = order
        for link in best[place][pick]:
            if link >= 0:
                required[links.above[link]].add(int(links.parent[link]))
    return picks, best


def table(
    held: list[Held],
    found: dict[int, Links],
    activations: list[np.ndarray | None],
    most: int,
) -> dict[str, np.ndarray]:
    """The chosen nodes of all layers as columns, from the input to the output.

    Args:
        held, found, most: As for `chosen`.
        activations: Of all units of each layer; None where unknown.

    Returns:
        A row for each node in `unit`, `sign`, `mass`, `activation`, `parent` (the row of the node
        that passed it the most, or -1), `passed` (how much that was) and `first` (where its
        contributions start in the columns that follow): `child_layer`, `child_unit`, `child_mass`.
        `start` says where each layer's rows start.
    """
    picks, best = chosen(held, found, most)
    start = np.cumsum([0, *map(len, picks)])
    row_of = []
    for place, (nodes, pick) in enumerate(zip(held, picks, strict=True)):
        rows = np.full(len(nodes.unit), -1)
        rows[pick] = start[place] + np.arange(len(pick))
        row_of.append(rows)
    columns = defaultdict(list)
    for place, (nodes, pick) in enumerate(zip(held, picks, strict=True)):
        columns["unit"].append(nodes.unit[pick])
        columns["sign"].append(nodes.sign[pick])
        columns["mass"].append(nodes.mass[pick])
        values = activations[place]
        unknown = np.full(len(pick), np.nan, np.float32)
        columns["activation"].append(unknown if values is None else values[nodes.unit[pick]])
        parent, passed = np.full(len(pick), -1), np.zeros(len(pick), np.float32)
        link = best[place][pick]
        if place in found:
            known, links = link >= 0, found[place]
            link = link[known]
            pairs = zip(links.above[link], links.parent[link], strict=True)
            parent[known] = [row_of[above][node] for above, node in pairs]
            passed[known] = links.mass[link]
        columns["parent"].append(parent)
        columns["passed"].append(passed)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return {**joined, "start": start, **_children(found, row_of, int(start[-1]))}


def _children(
    found: dict[int, Links], row_of: list[np.ndarray], rows: int
) -> dict[str, np.ndarray]:
    """The largest contributions of each row, one behind another, the largest first."""
    parts = []
    for below, links in found.items():
        row = np.full(len(links.parent), -1)
        for above in np.unique(links.above):
            own = (links.above == above) & (links.parent >= 0)
            row[own] = row_of[above][links.parent[own]]
        own = row >= 0
        parts.append((row[own], np.full(own.sum(), below), links.unit[own], links.mass[own]))
    if not parts:
        parts = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32))]
    row, layer, unit, mass = (np.concatenate(field) for field in zip(*parts, strict=True))
    order = np.lexsort((-mass, row))
    row = row[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    order, row = order[rank < _CHILDREN], row[rank < _CHILDREN]
    return {
        "first": np.searchsorted(row, np.arange(rows + 1)),
        "child_layer": layer[order],
        "child_unit": unit[order],
        "child_mass": mass[order],
    }


def summary(nodes: Held, shape: tuple[int, ...]) -> dict:
    """How many nodes a layer holds, their mass, and the channels with the most of it."""
    channel = nodes.unit % shape[-1] if shape else nodes.unit
    mass = np.bincount(channel.astype(int), weights=nodes.mass, minlength=1)
    count = np.bincount(channel.astype(int), minlength=1)
    top = np.argsort(-mass, kind="stable")[:_CHANNELS]
    return {
        "nodes": len(nodes.unit),
        "mass": float(nodes.mass.sum()),
        "channels": [
            [int(c), float(np.float32(mass[c])), int(count[c])] for c in top if mass[c] > 0
        ],
    }
