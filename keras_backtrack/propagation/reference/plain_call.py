"""What the plain loops are made of: nodes, one step, and choosing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ...graph.compat import arguments
from ...graph.graph import Call, Graph

Place = tuple[int, ...]
Unit = tuple[Place, int]


class Combination(NamedTuple):
    """Two units with what each counts with: +1, -1, or 0 where it is not there."""

    one: Unit
    other: Unit


Key = Unit | Combination
Memory = dict[Unit, float]


class Paths(NamedTuple):
    """Which paths are followed: how many contributions are kept; None keeps all.

    `all_paths` makes no choices at all, neither of channels nor of branches. `weights` follows none
    but has the rule of a sum give every unit it sums over, with its weight in place of a share.
    """

    top_n: int | None = 20
    channels: int | None = 1
    positions: int | None = 1
    include_bias: bool = False
    all_paths: bool = False
    weights: bool = False


class Child(NamedTuple):
    """One followed contribution: where it is, what it asks, and its share of the mass.

    `branch` is the input it is in.
    """

    place: Place
    sign: int
    share: float
    branch: int = 0


class Lead(NamedTuple):
    """As `Child`, for nodes and combinations alike."""

    key: Key
    share: float
    branch: int = 0


@dataclass(frozen=True)
class PlainCall:
    """A call to take nodes through, its tensors without a batch axis.

    Attributes:
        call: The call.
        position: Which of its outputs the nodes are in.
        inputs: What it read.
        output: What it made.
        followed: Numbers of the inputs that are no constants.
        paths: Which paths are followed.
        walk: Takes nodes through another graph: a graph, its activations and the nodes at its
            outputs. Returns those at all its tensors, by number.
        notes: What a rule wants to remember from one node to the next.
    """

    call: Call
    position: int
    inputs: list[np.ndarray]
    output: np.ndarray
    followed: list[int]
    paths: Paths
    walk: Callable[[Graph, dict[int, np.ndarray], dict[int, Memory]], dict[int, Memory]]
    notes: dict[Any, Any] = field(default_factory=dict)

    @property
    def is_folded(self) -> bool:
        """Whether the output holds several rows, each of which the layer made by itself."""
        return self.call.outputs[0] in self.call.folded

    def row(self, number: int) -> "PlainCall":
        """The call for one row of the image alone."""
        if ("row", number) not in self.notes:
            self.notes["row", number] = replace(
                self,
                call=replace(self.call, folded={}),
                inputs=[v[number] if self.has_rows(i) else v for i, v in enumerate(self.inputs)],
                output=self.output[number],
                notes={},
            )
        return self.notes["row", number]

    def has_rows(self, branch: int) -> bool:
        """Whether an input holds several rows."""
        return self.call.inputs[branch] in self.call.folded

    @property
    def layer(self) -> Any:
        return self.call.layer

    @property
    def cell(self) -> Graph:
        assert self.call.cell is not None
        return self.call.cell

    @property
    def arguments(self) -> dict[str, Any]:
        return arguments(self.call.layer, self.call.args, self.call.kwargs)


# Weights as arrays: read once per walk, since reading copies them.
READ: dict[tuple[int, str], np.ndarray] = {}


def weights_of(layer: Any, name: str) -> np.ndarray:
    key = id(layer), name
    if key not in READ:
        READ[key] = np.asarray(getattr(layer, name))
    return READ[key]


def best_of(values: Iterable[float], limit: int | None) -> list[int]:
    """Places of the largest values above 0; ties go to the first."""
    ranked = sorted((-value, place) for place, value in enumerate(values) if value > 0)
    return [place for _, place in ranked[:limit]]


def shares_of(values: list[float]) -> list[float]:
    total = float(np.sum(np.array(values, np.float64)))
    return [float(value) / total for value in values]


def asks(sign: int, weight: float) -> int:
    """What a child is asked: the same through a positive weight, the opposite through another."""
    return -sign if weight < 0 else sign


def best_children(
    paths: Paths,
    places: list[Place],
    values: Iterable[float],
    weights: Sequence[float] | np.ndarray,
    sign: int,
    limit: int | None,
    branch: int = 0,
) -> list[Child]:
    """The largest contributions above 0, with their shares; or all with their weights."""
    if paths.weights:
        pairs = zip(places, weights, strict=True)
        return [Child(place, sign, float(weight), branch) for place, weight in pairs]
    values = list(values)
    best = best_of(values, limit)
    shares = shares_of([values[i] for i in best])
    return [
        Child(places[i], asks(sign, weights[i]), share, branch)
        for i, share in zip(best, shares, strict=True)
    ]
