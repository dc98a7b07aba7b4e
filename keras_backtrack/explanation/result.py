"""The result in numbers: what was asked and answered, the pixels, and the nodes on the way."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from ..checks import arguments
from ..graph.strings import Given
from ..pictures import heatmaps
from ..propagation.program import Run
from .decisions import Decisions
from .evidence import heaviest, named
from .layer_nodes import HeldNodes, LayerNodes
from .plain import Plain
from .source import Source

_ROUNDING = 1e-4  # of a decision's mass

Self = TypeVar("Self", bound="Result")  # Of `typing` from Python 3.11 on.


class Result:
    """What an `Explanation` is without what can be seen of it; its attributes are named there.

    Args:
        asked: What was asked and answered.
        source: What the runs held, and the images.
        rows: (N,) int64, which of the decisions of the source these are.
        name: Of the input that pixels are about.
    """

    def __init__(self, asked: Decisions, source: Source, rows: np.ndarray, name: str) -> None:
        self._asked = asked
        (
            self.targets,
            self.versus,
            self.scores,
            self.side,
            self.logits,
            self.lost,
            self.image_index,
        ) = asked
        self._source = source
        self._layers, self._images = source.layers, source.images
        self._rows = rows
        self.labels = source.labels
        self.method = source.method
        self.contrast = source.contrast
        self.input = name
        self.shape = source.layers.shape_of(name)

    @classmethod
    def from_runs(
        cls: type[Self],
        runs: Sequence[Run],
        source: Source,
        image_index: np.ndarray,
    ) -> Self:
        """Joins the runs of an input's batches.

        Args:
            runs: In the order of the input.
            source: What views of them share.
            image_index: (N,) which row of the input each decision is about.
        """
        fields = Decisions._fields[:-1]
        joined = {name: np.concatenate([getattr(r, name) for r in runs]) for name in fields}
        rows = np.arange(len(image_index))
        asked = Decisions(**joined, image_index=image_index)
        return cls(asked, source, rows, source.first_picture)

    @classmethod
    def joined(cls: type[Self], parts: Sequence[Self]) -> Self:
        """One explanation of what several are about, in their order, without their pictures.

        Args:
            parts: Whole explanations, as `explain` returns them, by one explainer.

        Raises:
            ValueError: If there are none, or their inputs differ in size.
        """
        is_list = isinstance(parts, (list, tuple)) and len(parts)
        if not is_list or not all(isinstance(part, cls) for part in parts):
            raise TypeError(f"`parts` must be a list of explanations. Received: {parts!r}.")
        if len({part.shape for part in parts}) != 1:
            raise ValueError(
                "Explanations of inputs of one size can be joined; `stream` gives them one after "
                f"another. Received: {sorted({part.shape for part in parts})}."
            )
        counts = np.cumsum([0, *(part.image_index[-1] + 1 for part in parts)])
        moved = [
            part._asked._replace(image_index=part.image_index + first)
            for part, first in zip(parts, counts[:-1], strict=True)
        ]
        asked = Decisions(*map(np.concatenate, zip(*moved, strict=True)))
        layers = HeldNodes.joined([part._layers for part in parts])
        words = {
            name: {
                int(first) + row: own
                for first, part in zip(counts[:-1], parts, strict=True)
                for row, own in part._source.words[name].items()
            }
            for name in parts[0]._source.words
        }
        source = replace(parts[0]._source, layers=layers, images=None, words=words)
        return cls(asked, source, np.arange(len(asked.targets)), parts[0].input)

    def explained_by(self: Self, explainer: Any, x: Any = None) -> Self:
        """The same explanation with a network to run again, as `to_html` and `compare` do.

        Needed of a copy only, loaded from a file or pickled: it holds arrays and no model.

        Args:
            explainer: A `BacktrackExplainer` of the same model with the same settings.
            x: What was explained, as for `BacktrackExplainer.explain`, where the copy is without:
                files hold no pictures, and those of a data set are not kept.

        Raises:
            TypeError: If it is no explainer, or `x` holds no numbers.
            ValueError: If it is of another network or other settings, or `x` does not fit.
        """
        source = self._source.with_network(getattr(explainer, "network", explainer), x)
        if x is not None and len(source.kept(self.input)) <= self.image_index.max(initial=-1):
            raise ValueError(
                f"`x` must have the {self.image_index.max() + 1} rows that were explained, or "
                f"more. Received: {len(source.kept(self.input))}."
            )
        return type(self)(self._asked, source, self._rows, self.input)

    def __reduce__(self) -> tuple:
        plain = Plain.of(self._asked, self._source, self._rows, self.input)
        return _copied, (type(self), plain, self._source.network)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self: Self, key: int | slice | np.ndarray) -> Self:
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            if not -len(self) <= key < len(self):
                raise IndexError(f"There are {len(self)} explanations. Received: index {key}.")
            key = np.array([int(key)])
        elif not isinstance(key, slice):
            key = self._chosen(key)
        asked = Decisions(*(field[key] for field in self._asked))
        return type(self)(asked, self._source, self._rows[key], self.input)

    def _chosen(self, key: Any) -> np.ndarray:
        """Which decisions a list or an array chooses."""
        is_list = isinstance(key, list) or (isinstance(key, np.ndarray) and key.ndim > 0)
        rows = np.asarray(key) if is_list and len(key) else np.zeros(0, np.int64)
        are_truths = rows.dtype == bool and rows.shape == (len(self),)
        if not is_list or not (are_truths or (rows.dtype.kind in "iu" and rows.ndim == 1)):
            raise TypeError(
                "Explanations are chosen by an int, a slice, or an array of ints or as many "
                f"bools. Received: {key!r}."
            )
        if not are_truths and len(rows) and not -len(self) <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"There are {len(self)} explanations. Received: {key!r}.")
        return rows

    def of(self: Self, name: str) -> Self:
        """The same explanation, its pixels and maps those of another of the model's inputs.

        Args:
            name: One of `inputs`.
        """
        if not isinstance(name, str) or name not in self.inputs:
            raise ValueError(f"The model's inputs are {self.inputs}. Received: {name!r}.")
        return type(self)(self._asked, self._source, self._rows, name)

    @property
    def inputs(self) -> list[str]:
        """Names of the model's inputs."""
        return self._layers.inputs

    @property
    def input_mass(self) -> np.ndarray:
        """How much of each decision ended in each of the model's inputs: (N, inputs) float32.

        With `lost`, each row adds up to 1. What ended at a layer `down_to` counts for its input.
        """
        held = [self._layers.held(self._source.ends.get(name, name)) for name in self.inputs]
        masses = [[each.nodes_of(row).mass.sum() for each in held] for row in self._rows]
        return np.array(masses, np.float32).reshape(len(self), len(held))

    def __iter__(self: Self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def _points(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return self._source.points(self.input, self._rows)

    @property
    def pixels(self) -> list[np.ndarray]:
        """The important pixels: for each decision (P, 2) int32 rows (row, column), sorted.

        Of a signal or of tokens (P, 1) positions, of a volume (P, 3), of a vector (P, 1) units.
        Where the way back ended at a layer (`down_to`), the middle of each of its cells.
        """
        return [points for points, _ in self._points]

    @property
    def mass(self) -> list[np.ndarray]:
        """How much of each decision ended in each pixel: (P,) float32.

        `mass[i].sum() + lost[i]` is 1, for a model with one input.
        """
        return [mass for _, mass in self._points]

    def evidence(self) -> list[list[tuple[str, float]]]:
        """What each decision rests on, by name: the words of texts, the columns of tables.

        Words are in reading order, those without mass among them; behind them `"[padding]"`, where
        that has some. A column is called as its input. Of an input that is a vector each number is
        called `"name[i]"`, of pictures and other maps all mass is under the input's name.

        Returns:
            For each decision pairs of a name and a mass; with `lost` the masses add up to 1.

        Example:
            >>> explainer.explain(["a good film"]).evidence()[0]
            [('a', 0.0), ('good', 0.97), ('film', 0.02)]
        """
        pairs = zip(self._rows, self.image_index, strict=True)
        return [named(self._source, row, int(image)) for row, image in pairs]

    @property
    def layers(self) -> list[str]:
        """Names of the layer calls between input and output, in the order they run."""
        return self._layers.names

    def nodes(self, layer: str) -> LayerNodes:
        """What the paper's memory vector M held at a layer's output.

        Args:
            layer: Name of the layer, with the names of the nested models it is in before it
                (`"backbone/conv1"`) where it is not clear without. `layers` lists them.

        Returns:
            A `LayerNodes`: `nodes(layer)[i]` is (M, rank) int32 coordinates, row-major order,
            with signs and masses beside them. A unit asked both ways has two rows.

        Raises:
            ValueError: If there is no such layer, or several.
        """
        return self._nodes_at(self._layers.resolve(layer))

    def _nodes_at(self, name: str) -> LayerNodes:
        return LayerNodes(self._layers.held(name), self._rows)

    @property
    def titles(self) -> list[str]:
        """Each decision as figures are headed with it: the class and its score, why it is low where
        that was asked, or both classes and their logits."""
        return self._titles(self.labels)

    def _named(self, names: Any) -> tuple[str, ...] | None:
        """Names of the classes that a user gave, checked; those of the explanation for None."""
        if names is None:
            return self.labels
        names = arguments.texts("names", names, "names, one for each class")
        last = max(self.targets.max(initial=-1), self.versus.max(initial=-1))
        if last >= len(names) and self._source.meaning != "unit":
            raise ValueError(
                f"`names` must be those of all classes, here {last + 1} or more. "
                f"Received: {len(names)} names."
            )
        return names

    def _titles(self, names: Sequence[str] | None) -> list[str]:
        return self._asked.titles(names, self._source.meaning)

    @property
    def lost_at(self) -> dict[str, np.ndarray]:
        """Where mass was lost, from the output down: (N,) float32 by layer name; its sum is `lost`.

        At a layer paths end whose unit nothing contributes to: as a rule it is on through its bias,
        or its normalisation's. `"contrast"` is what went before single nodes were walked on, or was
        outweighed by what speaks against the decision.
        """
        at = {name: mass[self._rows] for name, mass in self._layers.ended().items()}
        rest = self.lost - sum(at.values(), np.zeros_like(self.lost))
        rest = np.where(np.abs(rest) < _ROUNDING, 0, rest).astype(np.float32)
        return {"contrast": rest, **at} if rest.any() else at

    @cached_property
    def sides(self: Self) -> tuple[Self, Self]:
        """Of decisions between two classes, either class explained by itself.

        This runs the model again.

        Raises:
            ValueError: If a decision is not between two classes, the model has changed, or this is
                a copy without one: see `explained_by`.
        """
        if (self.versus < 0).any():
            raise ValueError(
                "Only decisions between two classes can be compared: explain(x, a, versus=b). "
                f"Received: targets {self.targets[self.versus < 0][:10].tolist()} alone."
            )
        explain = self._source.asked_again().explain
        inputs = [values[self.image_index] for values in self._source.kept_images()]
        words = {
            name: [rows[image] for image in self.image_index]
            for name, rows in self._source.words.items()
        }
        x = Given(None, inputs, words)
        sides = [explain(x, units, labels=self.labels) for units in (self.targets, self.versus)]
        if not np.allclose(sides[0].scores, self.scores, rtol=1e-2, atol=1e-3):
            raise ValueError(
                "The model has changed since it was explained: explain again and compare that. "
                f"Received: scores of {sides[0].scores[:5]} now, {self.scores[:5]} then."
            )
        return sides[0].of(self.input), sides[1].of(self.input)

    def mass_map(self, layer: str | None = None) -> np.ndarray:
        """How much of each decision ended in each pixel, or went through each cell of a layer.

        What `attention` is made of, neither smoothed nor scaled.

        Args:
            layer: Name of a layer with a spatial output, whose cells are taken instead of the
                pixels of the input.

        Returns:
            (N, H, W) float32, for a layer of h × w cells (N, h, w); a map's sum is at most 1.

        Raises:
            ValueError: If the input is no picture, there is no such layer, or its output is none.
        """
        if layer is not None:
            return self._mass_in_cells(self._layers.resolve(layer))
        size = self._image_size()
        return np.stack([heatmaps.mass_map(*points, size) for points in self._points])

    def grid(self, layer: str | None = None) -> np.ndarray:
        """Mass in each cell of a spatial layer, the image split evenly (paper: Fig. 2).

        `argmax` of a map is the cell of the paper's top responsible node.

        Args:
            layer: Name of a layer with a spatial output. Default: the last one.

        Returns:
            (N, h, w) float32, as `mass_map` of that layer.
        """
        name = self._source.last_map() if layer is None else self._layers.resolve(layer)
        return self._mass_in_cells(name)

    def _mass_in_cells(self, name: str) -> np.ndarray:
        nodes = self._nodes_at(name)
        if len(nodes.shape) != 3:
            raise ValueError(
                "Maps need a layer with an output of height × width × channels. "
                f"Received: layer {name!r} with shape {nodes.shape}."
            )
        size = self._source.sizes(name)
        cells = zip(self._source.places(name, nodes), nodes.mass, strict=True)
        return np.stack([heatmaps.mass_map(at, mass, size) for at, mass in cells])

    def _image_size(self) -> tuple[int, int]:
        if len(self.shape) != 3:
            raise ValueError(
                "Maps need an input of height × width × channels. "
                f"Received: an input of shape {self.shape}."
            )
        height, width = self._source.sizes(self.input)
        return height, width

    def __repr__(self) -> str:
        lines = [f"Explanation of {len(self)} decision{'s' * (len(self) != 1)}"]
        has_names = self._source.words or len(self.inputs) > 1
        for i, (points, _) in enumerate(self._points[:8]):
            found = f"{len(points)} pixels"
            lines.append(
                f"  image {self.image_index[i]}: target {self.targets[i]}"
                f"{self._more_asked(i)}, score {self.scores[i]:.4g}, "
                f"{heaviest(self[i].evidence()[0]) if has_names else found}, "
                f"lost mass {self.lost[i]:.3g}"
            )
        return "\n".join(lines + ["  …"] * (len(self) > 8))

    def _more_asked(self, i: int) -> str:
        if self.versus[i] >= 0:
            return f" versus {self.versus[i]}"
        return ", why low" if self.side[i] < 0 and self._source.meaning != "side" else ""


def _copied(cls: type[Self], plain: Plain, network: Any) -> Self:
    """What `Result.__reduce__` asks for: a copy with the same network, or with none."""
    return cls(*plain.taken_in(network))
