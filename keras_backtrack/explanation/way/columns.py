"""The way down of some decisions about one picture, as plain columns."""

import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...graph.layout import places_first
from .layers import Shown, shown_layers
from .nodes import NOBODY, Links, links, summary, table
from .receptive_fields import receptive_fields
from .retraced import Retraced

_LEAST, _MOST = 10, 300  # nodes of a layer


class Way(NamedTuple):
    """The layers a page shows, from the input up, and what each decision held there.

    Attributes:
        layers: Of each layer what to call it: `name`, `kind`, `then` (kinds of calls folded into
            it), `nodes` (what `Explanation.nodes` takes), `shape`, its receptive `field`, None
            or two arrays; `way`, how decisions came here (`"best"` or `"all"` paths, or
            `"weighed"`: above the last map only what speaks for and against them is known); and
            whether the best paths are `begun` here.
        nodes: For each decision the columns of `nodes.table`.
        summaries: For each decision, of each layer what `nodes.summary` says.
        is_current: Whether the network still answers as it did when it was explained; if not,
            there are no activations and no paths.
        note: How paths were followed, in words; empty where it was node by node all the way.
    """

    layers: list[dict[str, Any]]
    nodes: list[dict[str, np.ndarray]]
    summaries: list[list[dict]]
    is_current: bool
    note: str


def way_down(walk: Retraced, most_nodes: int) -> Way:
    """The way down of decisions about one picture, with the steps taken again.

    Args:
        walk: The picture's activations, and what the decisions held.
        most_nodes: About how many nodes each decision may have in all layers together.
    """
    paths = walk.tracks.paths
    begins = paths.begins if paths is not None else frozenset()
    kept = {*walk.starts, *begins}
    shown = shown_layers(walk.graph, walk.tracks.rules, walk.tensors, kept)
    fields = receptive_fields(walk.graph, walk.tracks.rules, walk.tensors, walk.picture)
    held = [n for n in shown.numbers if n in walk.nodes[0]]
    count = max(sum(n in nodes for nodes in walk.nodes for n in held), 1)
    most = int(np.clip(most_nodes * len(walk.nodes) // count, _LEAST, _MOST))
    activations = [
        np.asarray(walk.tensors[n], np.float32).reshape(-1) if walk.is_current else None
        for n in shown.numbers
    ]
    shapes = [_shape(walk, n) for n in shown.numbers]
    orders = {i: _order(walk, n) for i, n in enumerate(shown.numbers) if _is_first(walk, n)}
    for place, order in orders.items():
        values = activations[place]
        if values is not None:
            activations[place] = _in_order(values, order)
    tables, summaries = [], []
    for nodes in walk.nodes:
        at = [nodes.get(n, NOBODY) for n in shown.numbers]
        found: dict[int, Links] = {}
        if walk.is_current:
            found = links(walk.tracks.edges(walk.tensors, nodes), nodes, shown)
        for place, order in orders.items():
            at[place] = at[place]._replace(unit=order[at[place].unit])
            if place in found:
                found[place] = found[place]._replace(unit=order[found[place].unit])
        tables.append(table(at, found, activations, most))
        summaries.append([summary(*pair) for pair in zip(at, shapes, strict=True)])
    ways = _ways(walk)
    layers = [
        {**_layer(walk, shown, n), "field": fields.get(n), "way": ways[n], "begun": n in begins}
        for n in shown.numbers
    ]
    return Way(layers, tables, summaries, walk.is_current, _note(walk, layers))


def _is_first(walk: Retraced, number: int) -> bool:
    return number in walk.graph.channels_first


def _shape(walk: Retraced, number: int) -> tuple[int, ...]:
    """Sizes of a tensor's places, and of its channels behind them."""
    return places_first(tuple(walk.tensors[number].shape[1:]), _is_first(walk, number))


def _order(walk: Retraced, number: int) -> np.ndarray:
    """For each unit of a tensor with its channels first its number where they are last."""
    shape = tuple(walk.tensors[number].shape[1:])
    places, channels = math.prod(shape[1:]), shape[0]
    return np.arange(places * channels).reshape(places, channels).T.reshape(-1)


def _in_order(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    moved = np.empty_like(values)
    moved[order] = values
    return moved


def _ways(walk: Retraced) -> dict[int, str]:
    """By number of a tensor how decisions came there."""
    graph, paths = walk.graph, walk.tracks.paths
    below = set(walk.starts)
    for call in reversed(graph.calls):
        if below.intersection(call.outputs):
            below.update(call.inputs)
    ways = {number: "all" if number in below else "weighed" for number in graph.names}
    if paths is not None:
        for step in paths.steps:
            ways.update(dict.fromkeys(step.call.inputs, "best"))
        if walk.method == "viterbi":
            ways.update(dict.fromkeys(walk.starts, "best"))
    return ways


def _note(walk: Retraced, layers: Sequence[dict[str, Any]]) -> str:
    called = {layer["nodes"]: layer["name"] for layer in layers}

    def names(numbers: Collection[int]) -> str:
        return " and ".join(called[walk.graph.names[number]] for number in sorted(numbers))

    said = []
    if any(layer["way"] == "weighed" for layer in layers):
        said.append(
            "What speaks for the class and what speaks against it was weighed down to "
            f"{names(walk.starts)}: what is ahead there goes on."
        )
    paths = walk.tracks.paths
    if paths is None:
        said.append("All paths were followed at once, so no node has a single parent.")
    elif said and paths.begins == walk.starts:
        said.append("From there the best paths were followed, node by node.")
    elif walk.method == "backtrack":
        said.append(
            f"Down to {names(paths.begins)} all paths were followed at once, below it the best, "
            "node by node."
        )
    return " ".join(said)


def _layer(walk: Retraced, shown: Shown, number: int) -> dict[str, Any]:
    chain = shown.calls[shown.place(number)]
    name = walk.graph.names[number]
    return {
        "name": chain[0].name if chain else name,
        "kind": chain[0].kind if chain else "input",
        "then": [call.kind for call in chain[1:]],
        "nodes": name,
        "shape": [int(size) for size in _shape(walk, number)],
    }
