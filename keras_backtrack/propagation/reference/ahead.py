"""Questions with contrast as plain loops: what goes on from the last maps, what is left of it."""

from collections import defaultdict
from math import prod
from typing import NamedTuple

import numpy as np

from ...graph.graph import Graph
from .evidence import evidence
from .landmarks import has_places
from .layout import cell, channels_first, placed
from .plain_call import Memory, Paths, Place
from .walk import walk

_ROUNDED = 1e-6  # of all mass, that may be due to rounding
_MOST = 10.0  # times what speaks for it may go on at a place
_HEAVIEST = 100  # nodes that a walk along the best paths begins with


class Ahead(NamedTuple):
    """What is ahead, and below 0 what is behind.

    Attributes:
        nodes: By tensor number, the masses at last maps and at inputs without one. Those above 0
            add up to 1, if there are any.
        scale: How many times as much speaks for and against as is ahead: so much larger becomes
            what was rounded on the way. Infinite where nodes would be others.
    """

    nodes: dict[int, Memory]
    scale: float


def ahead(
    graph: Graph,
    activations: dict[int, np.ndarray],
    question: dict[Place, float],
    last_maps: set[int],
    bar: float,
) -> Ahead:
    """Takes a question to the last maps.

    Args:
        graph, activations, question: As for `evidence`.
        last_maps: Numbers of the tensors where places are told apart.
        bar: What a place must be ahead of, as a share of the mean over places.
    """
    ends = {*last_maps, *graph.inputs}
    every = Paths(None, None, None, all_paths=True)
    sides = [
        walk(graph, activations, side, every, last_maps).nodes
        for side in evidence(graph, activations, question)
    ]
    found, at_ends, first = {}, 0.0, channels_first(graph)
    for number in sorted(ends):
        for_it, against = (side.get(number, {}) for side in sides)
        at_ends += sum(for_it.values()) + sum(against.values())
        shape = activations[number].shape
        found[number] = _lead(for_it, against, shape, bar, number in first)
    total = sum(mass for nodes in found.values() for mass in nodes.values() if mass > 0)
    if not total:
        is_none_for_it = not any(sides[0].get(number) for number in ends)
        return Ahead({}, 1.0 if is_none_for_it else np.inf)
    scaled = {n: {u: m / total for u, m in nodes.items()} for n, nodes in found.items() if nodes}
    return Ahead(scaled, at_ends / total)


def _lead(
    for_it: Memory, against: Memory, shape: tuple[int, ...], bar: float, is_first: bool
) -> Memory:
    if not has_places(placed(shape, is_first)):
        # Each unit by itself.
        return {u: for_it.get(u, 0.0) - against.get(u, 0.0) for u in {*for_it, *against}}
    balance: dict[Place, float] = defaultdict(float)
    ours: dict[Place, float] = defaultdict(float)
    for (place, _), mass in for_it.items():
        balance[cell(place, is_first)] += mass
        ours[cell(place, is_first)] += mass
    theirs: dict[Place, float] = defaultdict(float)
    for (place, _), mass in against.items():
        balance[cell(place, is_first)] -= mass
        theirs[cell(place, is_first)] += mass
    places = prod(cell(shape, is_first))
    mean = sum(balance.values()) / places
    level = min(bar * mean, mean)
    least = _ROUNDED * (sum(ours.values()) + sum(theirs.values())) / places
    found = {}
    for (place, sign), mass in for_it.items():
        at = cell(place, is_first)
        # Where next to nothing speaks for it there is nothing to go on along.
        if mass and ours[at] > least:
            found[place, sign] = mass * min(balance[at] - level, _MOST * ours[at]) / ours[at]
    return found


def left_over(nodes: Memory, shape: tuple[int, ...], is_first: bool) -> Memory:
    """What is left at each place where more mass is above 0 than below, in the units above 0."""

    def at(place: Place) -> Place:
        return cell(place, is_first) if has_places(placed(shape, is_first)) else place

    left: dict[Place, float] = defaultdict(float)
    above: dict[Place, float] = defaultdict(float)
    for (place, _), mass in nodes.items():
        left[at(place)] += mass
        above[at(place)] += max(mass, 0.0)
    return {
        (place, sign): mass * left[at(place)] / above[at(place)]
        for (place, sign), mass in nodes.items()
        if mass > 0 and left[at(place)] > 0
    }


def heaviest(nodes: Memory) -> Memory:
    """The heaviest nodes with the mass of all; of equals those that come first, high before low."""
    ranked = sorted(nodes, key=lambda node: (-nodes[node], node[0], -node[1]))[:_HEAVIEST]
    share = sum(nodes.values()) / (sum(nodes[node] for node in ranked) or 1.0)
    return {node: nodes[node] * share for node in ranked}
