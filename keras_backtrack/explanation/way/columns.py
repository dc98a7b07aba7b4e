"""The way down of some decisions about one picture, as plain columns."""

from typing import Any, NamedTuple

import numpy as np

from .layers import Shown, shown_layers
from .nodes import NOBODY, links, summary, table
from .receptive_fields import receptive_fields
from .retraced import Retraced

_LEAST, _MOST = 10, 300  # nodes of a layer


class Way(NamedTuple):
    """The layers a page shows, from the input up, and what each decision held there.

    Attributes:
        layers: Of each layer what to call it: `name`, `kind`, `then` (kinds of calls folded into
            it), `nodes` (what `Explanation.nodes` takes), `shape`, and its receptive `field`, None
            or two arrays.
        nodes: For each decision the columns of `nodes.table`.
        summaries: For each decision, of each layer what `nodes.summary` says.
        is_current: Whether the network still answers as it did when it was explained; if not,
            there are no activations and no paths.
        is_walk: Whether single paths were followed.
    """

    layers: list[dict[str, Any]]
    nodes: list[dict[str, np.ndarray]]
    summaries: list[list[dict]]
    is_current: bool
    is_walk: bool


def way_down(walk: Retraced, most_nodes: int) -> Way:
    """The way down of decisions about one picture, with the steps taken again.

    Args:
        walk: The picture's activations, and what the decisions held.
        most_nodes: About how many nodes each decision may have in all layers together.
    """
    shown = shown_layers(walk.graph, walk.tracks.rules, walk.tensors)
    fields = receptive_fields(walk.graph, walk.tracks.rules, walk.tensors, walk.picture)
    kept = [n for n in shown.numbers if n in walk.nodes[0]]
    count = max(sum(n in nodes for nodes in walk.nodes for n in kept), 1)
    most = int(np.clip(most_nodes * len(walk.nodes) // count, _LEAST, _MOST))
    activations = [
        np.asarray(walk.tensors[n], np.float32).reshape(-1) if walk.is_current else None
        for n in shown.numbers
    ]
    shapes = [tuple(walk.tensors[n].shape[1:]) for n in shown.numbers]
    tables, summaries = [], []
    for nodes in walk.nodes:
        at = [nodes.get(n, NOBODY) for n in shown.numbers]
        found = {}
        if walk.is_current:
            found = links(walk.tracks.edges(walk.tensors, nodes), nodes, shown)
        tables.append(table(at, found, activations, most))
        summaries.append([summary(*pair) for pair in zip(at, shapes, strict=True)])
    layers = [{**_layer(walk, shown, n), "field": fields.get(n)} for n in shown.numbers]
    return Way(layers, tables, summaries, walk.is_current, walk.tracks.paths is not None)


def _layer(walk: Retraced, shown: Shown, number: int) -> dict[str, Any]:
    chain = shown.calls[shown.place(number)]
    name = walk.graph.names[number]
    return {
        "name": chain[0].name if chain else name,
        "kind": chain[0].kind if chain else "input",
        "then": [call.kind for call in chain[1:]],
        "nodes": name,
        "shape": [int(size) for size in walk.tensors[number].shape[1:]],
    }
