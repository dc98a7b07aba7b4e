"""What the walk held at each layer, brought into order when somebody asks."""

from collections.abc import Sequence
from typing import overload

import numpy as np

from ..graph.graph import Graph
from ..propagation.best_paths.retracing import Tracks
from ..propagation.nodes import Held
from ..propagation.program import Run


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


class HeldNodes:
    """What all runs held, by layer name; put in order when first asked for.

    Attributes:
        graph: The calls that were run.
        tracks: Takes their steps again.
        inputs: Names of the model's inputs.
        names: Names of all other tensors, in the order they are made.
    """

    def __init__(self, runs: Sequence[Run], graph: Graph, tracks: Tracks) -> None:
        self._runs = runs
        self.graph = graph
        self.tracks = tracks
        self._numbers = {name: number for number, name in graph.names.items()}
        self.inputs = [graph.names[number] for number in graph.inputs]
        self.names = [graph.names[number] for call in graph.calls for number in call.outputs]
        self._cache: dict[str, _Tensor] = {}

    @classmethod
    def joined(cls, parts: Sequence["HeldNodes"]) -> "HeldNodes":
        """What several held, one behind the other."""
        runs = [run for part in parts for run in part._runs]
        return cls(runs, parts[0].graph, parts[0].tracks)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Sizes of a tensor after the batch axis."""
        return self._runs[0].sizes[self._numbers[name]]

    def held(self, name: str) -> _Tensor:
        if name not in self._cache:
            number = self._numbers[name]
            shape = self._runs[0].sizes[number]
            size, first, parts = int(np.prod(shape)), 0, []
            for run in self._runs:
                if number in run.nodes:
                    index, sign, mass = run.nodes[number]
                    parts.append((index + first * size, sign, mass))
                first += len(run.targets)
            nothing = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32)
            index, sign, mass = map(np.concatenate, zip(nothing, *parts, strict=True))
            self._cache[name] = _Tensor(index, sign, mass, shape)
        return self._cache[name]

    def all_of(self, row: int) -> dict[int, Held]:
        """The nodes of one explanation wherever they were brought back from, by tensor number."""
        numbers = {number for run in self._runs for number in run.nodes}
        names = {self.graph.names[number] for number in numbers}
        return {self._numbers[name]: self.held(name).nodes_of(row) for name in sorted(names)}

    def ended(self) -> dict[str, np.ndarray]:
        """By layer name, in the order of the way back, (N,) float32: the mass that ended there."""
        numbers = {number for run in self._runs for number in run.ended}
        found = {}
        for number in sorted(numbers, reverse=True):
            parts = [
                run.ended.get(number, np.zeros(len(run.targets), np.float32)) for run in self._runs
            ]
            found[self.graph.names[number]] = np.concatenate(parts)
        return found

    def resolve(self, layer: str) -> str:
        """Full name of a layer that may have been named by its last part."""
        name = self.graph.resolve(layer)
        if self._numbers[name] not in self._runs[0].nodes:
            raise ValueError(
                "This explanation does not hold the nodes of that layer. Where all paths are "
                "followed they are wanted by name, as in BacktrackExplainer(model, layers=[...]); "
                "with contrast there are none above the last map, with `down_to` none below it. "
                f"Received: {layer!r}."
            )
        return name

    def last_spatial(self) -> str:
        """The last layer whose output is a map, not a single cell."""
        sizes = self._runs[0].sizes
        for name in reversed(self.names):
            shape = sizes[self._numbers[name]]
            if len(shape) == 3 and shape[0] * shape[1] > 1:
                return name
        raise ValueError(
            "`grid` needs a layer with a spatial output. "
            f"Received: a model without one, its layers {self.names[:10]}."
        )
