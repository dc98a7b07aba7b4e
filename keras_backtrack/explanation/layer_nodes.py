"""What the walk held at each layer, brought into order when somebody asks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

from ..graph.graph import Graph, full_name
from ..propagation.nodes import Held, Nodes
from ..propagation.program import Run

_NOBODY = Nodes(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32))


class LayerNodes(Sequence[np.ndarray]):
    """What M held at one layer: item i is the (M, rank) int32 coordinates for explanation i.

    Attributes:
        shape: Sizes of the layer's output after the batch axis.
        sign: For each explanation, (M,) int8: +1 if the walk asked why the unit is high, -1 why
            it is low.
        mass: For each explanation, (M,) float32: how much of the decision flows through.
    """

    def __init__(self, held: "_Tensor", rows: np.ndarray) -> None:
        self.shape = held.shape
        parts = [held.nodes_of(row) for row in rows]
        self._coordinates = [
            np.stack(np.unravel_index(unit, self.shape), axis=1).astype(np.int32)
            for unit, _, _ in parts
        ]
        self.sign = [sign for _, sign, _ in parts]
        self.mass = [mass for _, _, mass in parts]

    @overload
    def __getitem__(self, i: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, i: slice) -> list[np.ndarray]: ...

    def __getitem__(self, i: int | slice) -> np.ndarray | list[np.ndarray]:
        return self._coordinates[i]

    def __len__(self) -> int:
        return len(self._coordinates)

    def __repr__(self) -> str:
        counts = ", ".join(map(str, map(len, self._coordinates[:8])))
        return f"LayerNodes(shape={self.shape}, nodes: {counts}{', …' * (len(self) > 8)})"


class _Tensor:
    """The nodes of one tensor, for all explanations, in order of their index."""

    def __init__(
        self, index: np.ndarray, sign: np.ndarray, mass: np.ndarray, shape: tuple[int, ...]
    ) -> None:
        order = np.argsort(index, kind="stable")
        self.shape = shape
        self._index, self._sign, self._mass = index[order], sign[order], mass[order]
        self._size = int(np.prod(shape))

    def nodes_of(self, row: int) -> Held:
        """The nodes of one explanation."""
        start, stop = np.searchsorted(self._index, [row * self._size, (row + 1) * self._size])
        unit = self._index[start:stop] - row * self._size
        return Held(unit, self._sign[start:stop].astype(np.int8), self._mass[start:stop])


class Part(NamedTuple):
    """What one run held, by layer name.

    Attributes:
        decisions: How many the run was about.
        nodes: As of `Run`; absent where there were none.
        ended: (decisions,) float32, the mass that ended there.
    """

    decisions: int
    nodes: dict[str, Nodes]
    ended: dict[str, np.ndarray]


class HeldNodes:
    """What runs held at every tensor; put in order when first asked for.

    Args:
        parts: What each run held.
        shapes: By name of each tensor the sizes after the batch axis, in the order they are made,
            the model's inputs first.
        inputs: How many of them are inputs.

    Attributes:
        shapes: As given.
        inputs: Names of the model's inputs.
        names: Names of all other tensors.
    """

    def __init__(
        self, parts: Sequence[Part], shapes: Mapping[str, tuple[int, ...]], inputs: int
    ) -> None:
        self._parts, self.shapes = parts, shapes
        self.inputs, self.names = list(shapes)[:inputs], list(shapes)[inputs:]
        self._cache: dict[str, _Tensor] = {}

    @classmethod
    def from_runs(cls, runs: Sequence[Run], graph: Graph) -> "HeldNodes":
        """What runs of a graph held."""

        def named(values: dict[int, Any]) -> dict[str, Any]:
            return {graph.names[number]: own for number, own in values.items()}

        parts = [Part(len(run.targets), named(run.nodes), named(run.ended)) for run in runs]
        made = [number for call in graph.calls for number in call.outputs]
        # A number for each image, without an axis, is a vector of one.
        shapes = {graph.names[n]: runs[0].sizes[n] or (1,) for n in (*graph.inputs, *made)}
        return cls(parts, shapes, len(graph.inputs))

    @classmethod
    def joined(cls, held: Sequence["HeldNodes"]) -> "HeldNodes":
        """What several held, one behind the other."""
        parts = [part for each in held for part in each._parts]
        return cls(parts, held[0].shapes, len(held[0].inputs))

    def of_rows(self, rows: np.ndarray) -> "HeldNodes":
        """What some of the decisions held, in their order."""
        numbers, nodes = np.arange(len(rows)), {}
        for name in self._held_somewhere():
            own = [self.held(name).nodes_of(row) for row in rows]
            if any(len(each.unit) for each in own):
                unit, sign, mass = map(np.concatenate, zip(*own, strict=True))
                first = np.repeat(numbers, [len(each.unit) for each in own])
                index = first * math.prod(self.shapes[name]) + unit
                nodes[name] = Nodes(index, sign.astype(np.float32), mass)
            else:
                nodes[name] = _NOBODY
        ended = {name: mass[rows] for name, mass in self.ended().items()}
        return HeldNodes([Part(len(rows), nodes, ended)], self.shapes, len(self.inputs))

    def single(self) -> Part:
        """All of it as one part."""
        everything = np.arange(sum(part.decisions for part in self._parts))
        [part] = (self if len(self._parts) == 1 else self.of_rows(everything))._parts
        return part

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Sizes of a tensor after the batch axis."""
        return self.shapes[name]

    def held(self, name: str) -> _Tensor:
        if name not in self._cache:
            size, first, parts = math.prod(self.shapes[name]), 0, [_NOBODY]
            for part in self._parts:
                if name in part.nodes:
                    index, sign, mass = part.nodes[name]
                    parts.append(Nodes(index + first * size, sign, mass))
                first += part.decisions
            index, sign, mass = map(np.concatenate, zip(*parts, strict=True))
            self._cache[name] = _Tensor(index, sign, mass, self.shapes[name])
        return self._cache[name]

    def all_of(self, row: int) -> dict[str, Held]:
        """The nodes of one explanation wherever they were brought back from, by layer name."""
        return {name: self.held(name).nodes_of(row) for name in self._held_somewhere()}

    def _held_somewhere(self) -> list[str]:
        return [name for name in self.shapes if any(name in part.nodes for part in self._parts)]

    def ended(self) -> dict[str, np.ndarray]:
        """By layer name, in the order of the way back, (N,) float32: the mass that ended there."""
        found = {}
        for name in reversed(list(self.shapes)):
            if any(name in part.ended for part in self._parts):
                parts = [
                    part.ended.get(name, np.zeros(part.decisions, np.float32))
                    for part in self._parts
                ]
                found[name] = np.concatenate(parts)
        return found

    def named(self, layer: str) -> str:
        """Full name of a layer that may have been named by its last part."""
        return full_name(layer, list(self.shapes))

    def resolve(self, layer: str) -> str:
        """As `named`, of a layer whose nodes are held."""
        name = self.named(layer)
        if not any(name in part.nodes for part in self._parts):
            raise ValueError(
                "This explanation does not hold the nodes of that layer. Where all paths are "
                "followed they are wanted by name, as in BacktrackExplainer(model, layers=[...]); "
                "with contrast there are none above the last map, with `down_to` none below it. "
                f"Received: {layer!r}."
            )
        return name
