"""`Explanation`: the result, and the views on it, each computed when asked for."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..graph.graph import Graph
from ..pictures import heatmaps
from ..pictures import refine as refinement
from ..pictures.class_names import short_name
from ..propagation.best_paths.retracing import Tracks
from ..propagation.program import Run
from . import files as saving
from .decisions import Decisions
from .detections import Detections
from .layer_nodes import HeldNodes, LayerNodes
from .way.columns import Way, way_down


class Explanation:
    """Why a network decided as it did, for N decisions.

    `e[i]` is the explanation of one decision and `e[i:j]` of some, both with everything below.

    Attributes:
        targets: (N,) int64, the explained unit of the output, row-major; -1 for a mask of units.
        versus: (N,) int64, the unit it is told from; -1 where it is explained by itself.
        scores: (N,) float32, the output there, or its mean over the mask.
        logits: (N, 2) float32, the values of target and `versus` before the output's activation;
            NaN where nothing is told apart.
        lost: (N,) float32, the mass of paths that ended before they reached the input.
        image_index: (N,) int64, the row of `x` each decision is about.
        input: Name of the input that `pixels`, `mass` and all maps are about; `of` shows another.
        shape: Sizes of that input after the batch axis, such as (224, 224, 3).
        labels: Names of the classes, or None.
        method: How paths were followed, `"viterbi"`, `"posterior"` or `"contrastive"`.
    """

    def __init__(
        self,
        decisions: "Decisions",
        images: Sequence[np.ndarray] | None,
        layers: HeldNodes,
        rows: np.ndarray,
        shown: int,
        labels: tuple[str, ...] | None,
        method: str,
        explain: Callable[..., "Explanation"],
    ) -> None:
        self._decisions = decisions
        self.targets = decisions.targets
        self.versus = decisions.versus
        self.scores = decisions.scores
        self.logits = decisions.logits
        self.lost = decisions.lost
        self.image_index = decisions.image_index
        self.labels = labels
        self.method = method
        self._explain = explain
        self.input = layers.inputs[shown]
        self.shape = layers.shape_of(self.input)
        self._images = images
        self._layers = layers
        self._rows = rows
        self._shown = shown

    @classmethod
    def from_runs(
        cls,
        runs: Sequence[Run],
        graph: Graph,
        tracks: Tracks,
        images: Sequence[np.ndarray],
        image_index: np.ndarray,
        labels: tuple[str, ...] | None,
        method: str,
        explain: Callable[..., "Explanation"],
    ) -> "Explanation":
        """Joins the runs of an input's batches.

        Args:
            runs: In the order of the input.
            graph: The graph they ran.
            tracks: Takes its steps again.
            images: The whole of each input; the first of pictures is shown.
            image_index: (N,) which row of it each decision is about.
            labels: Names of the classes, or None.
            method: The explainer's.
            explain: Explains other decisions about these images.
        """
        joined = [np.concatenate([getattr(r, f) for r in runs]) for f in Decisions._fields[:-1]]
        held, rows = HeldNodes(runs, graph, tracks), np.arange(len(image_index))
        shown = next((i for i, name in enumerate(held.inputs) if len(held.shape_of(name)) == 3), 0)
        decisions = Decisions(*joined, image_index)
        return cls(decisions, images, held, rows, shown, labels, method, explain)

    @classmethod
    def joined(cls, parts: Sequence["Explanation"]) -> "Explanation":
        """One explanation of what several are about, in their order, without their pictures.

        Args:
            parts: Whole explanations, as `explain` returns them, by one explainer.

        Raises:
            ValueError: If there are none, or their inputs differ in size.
        """
        if len({part.shape for part in parts}) != 1:
            raise ValueError(
                "Explanations of inputs of one size can be joined; `stream` gives them one after "
                f"another. Received: {sorted({part.shape for part in parts})}."
            )
        counts = np.cumsum([0, *(part.image_index[-1] + 1 for part in parts)])
        moved = [
            part._decisions._replace(image_index=part.image_index + first)
            for part, first in zip(parts, counts[:-1], strict=True)
        ]
        decisions = Decisions(*map(np.concatenate, zip(*moved, strict=True)))
        held = HeldNodes.joined([part._layers for part in parts])
        first, rows = parts[0], np.arange(len(decisions.targets))
        rest = first._shown, first.labels, first.method, first._explain
        return cls(decisions, None, held, rows, *rest)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: int | slice | np.ndarray) -> "Explanation":
        if isinstance(key, (int, np.integer)):
            if not -len(self) <= key < len(self):
                raise IndexError(f"There are {len(self)} explanations. Received: index {key}.")
            key = [int(key)]
        return self._view(key, self._shown)

    def _view(self, rows: Any, shown: int) -> "Explanation":
        decisions = Decisions(*(field[rows] for field in self._decisions))
        held = self._images, self._layers, self._rows[rows], shown
        return Explanation(decisions, *held, self.labels, self.method, self._explain)

    def of(self, name: str) -> "Explanation":
        """The same explanation, its pixels and maps those of another of the model's inputs.

        Args:
            name: One of `inputs`.
        """
        if name not in self.inputs:
            raise ValueError(f"The model's inputs are {self.inputs}. Received: {name!r}.")
        return self._view(slice(None), self.inputs.index(name))

    @property
    def inputs(self) -> list[str]:
        """Names of the model's inputs."""
        return self._layers.inputs

    @property
    def input_mass(self) -> np.ndarray:
        """How much of each decision ended in each of the model's inputs: (N, inputs) float32.

        With `lost`, each row adds up to 1.
        """
        masses = [[m.sum() for m in self._nodes_at(name).mass] for name in self.inputs]
        return np.array(masses, np.float32).T

    def __iter__(self) -> Iterator["Explanation"]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def _points(self) -> list[tuple[np.ndarray, np.ndarray]]:
        nodes = self._nodes_at(self.input)
        # The last axis holds the channels of a pixel; an input without one has single units.
        axes = max(len(self.shape) - 1, 1)
        return [
            heatmaps.unique_points(coordinates[:, :axes], mass)
            for coordinates, mass in zip(nodes, nodes.mass, strict=True)
        ]

    @property
    def pixels(self) -> list[np.ndarray]:
        """The important pixels: for each decision (P, 2) int32 rows (row, column), sorted.

        Of a signal or of tokens (P, 1) positions, of a volume (P, 3), of a vector (P, 1) units.
        """
        return [points for points, _ in self._points]

    @property
    def mass(self) -> list[np.ndarray]:
        """How much of each decision ended in each pixel: (P,) float32.

        `mass[i].sum() + lost[i]` is 1, for a model with one input.
        """
        return [mass for _, mass in self._points]

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

    def attention(
        self,
        sigma: float | None = None,
        *,
        layer: str | None = None,
        refine: str | None = None,
        images: Any = None,
    ) -> np.ndarray:
        """Density of the important pixels, weighted by mass (paper: Fig. 3c).

        Args:
            sigma: Standard deviation of the Gaussian around each pixel, in pixels of the input.
                Default: 7 % of the longer side for `"viterbi"`, for the other methods 3 %, or 1 %
                for the cells of a layer, which are wide already.
            layer: Name of a layer with a spatial output, whose cells' mass is taken instead of the
                pixels'. Mass that has spread over fewer layers is less scattered: with
                `method="posterior"` a layer of 14 × 14 cells shows where objects are better than
                the pixels do.
            refine: `"edges"` lets the attention spread over surfaces of one colour and stop at the
                picture's edges; `"edges+border"` takes what lies along the picture's border for
                background besides (`pictures/refine.py`). Needs the extra `regions`.
            images: The pictures to refine on, as for `plot`.

        Returns:
            (N, H, W) float32 in [0, 1]; each map's maximum is 1, or 0 where no pixel was reached.

        Raises:
            ImportError: If scikit-image is not installed, which `refine` needs.
            ValueError: If there is no such layer or refinement, or `images` do not fit.
        """
        size = self._image_size()
        if sigma is None:
            shares = heatmaps.SIGMAS if layer is None else heatmaps.LAYER_SIGMAS
            sigma = shares[self.method] * max(size)
        if layer is None:
            found = [heatmaps.attention(p, m, *size, sigma) for p, m in self._points]
        else:
            found = [heatmaps.attention_of_grid(cells, *size, sigma) for cells in self.grid(layer)]
        if refine is not None:
            pictures = self.pictures(images)
            found = [refinement.refine(a, p, refine) for a, p in zip(found, pictures, strict=True)]
        return np.stack(found)

    def saliency(
        self,
        sigma: float | None = None,
        threshold: float | None = None,
        *,
        layer: str | None = None,
        refine: str | None = None,
        images: Any = None,
    ) -> np.ndarray:
        """Salient regions: where the attention reaches a threshold (paper: IV-A, Fig. 3b).

        Args:
            threshold: Between 0 and 1. Default: 0.15 for `"viterbi"`, 0.2 for the other methods;
                with `refine` 0.5.
            sigma, layer, refine, images: As for `attention`.

        Returns:
            (N, H, W) bool.
        """
        if threshold is None:
            threshold = heatmaps.THRESHOLDS[self.method] if refine is None else refinement.THRESHOLD
        attention = self.attention(sigma, layer=layer, refine=refine, images=images)
        return heatmaps.saliency(attention, threshold)

    def boxes(
        self,
        sigma: float | None = None,
        threshold: float | None = None,
        *,
        labels: Sequence[str] | None = None,
        layer: str | None = None,
        refine: str | None = None,
        images: Any = None,
    ) -> "list[np.ndarray] | Detections":
        """Boxes around the salient regions (paper: IV, object detection).

        Regions that hold less than 5 % of the mass in pixels are left out.

        Args:
            sigma, threshold, layer, refine, images: As for `saliency`.
            labels: Names of the classes, to get objects: boxes around lone pixels left out, with
                classes and scores, to be drawn and exported. See `explain(x, top=3)`.

        Returns:
            For each decision (B, 4) int32 rows (top, left, bottom, right), half open; the one
            with the largest mass first. With labels `Detections`.
        """
        regions = self.saliency(sigma, threshold, layer=layer, refine=refine, images=images)
        found = [heatmaps.boxes(r, p, m) for r, (p, m) in zip(regions, self._points, strict=True)]
        return found if labels is None else Detections.of_boxes(self, found, labels)

    def grid(self, layer: str | None = None) -> np.ndarray:
        """Mass in each cell of a spatial layer, the image split evenly (paper: Fig. 2).

        `argmax` of a map is the cell of the paper's top responsible node.

        Args:
            layer: Name of a layer with a spatial output. Default: the last one.

        Returns:
            (N, h, w) float32 for a layer of h × w cells; a map's sum is at most 1.
        """
        name = self._layers.last_spatial() if layer is None else self._layers.resolve(layer)
        nodes = self._nodes_at(name)
        if len(nodes.shape) != 3:
            raise ValueError(
                "`grid` needs a layer with an output of height × width × channels. "
                f"Received: layer {name!r} with shape {nodes.shape}."
            )
        grid = np.zeros((len(self), *nodes.shape[:2]), np.float32)
        for i, (coordinates, mass) in enumerate(zip(nodes, nodes.mass, strict=True)):
            np.add.at(grid[i], tuple(coordinates[:, :2].T), mass)
        return grid

    @property
    def titles(self) -> list[str]:
        """Each decision as figures are headed with it: the class and its score, or both classes
        and their logits."""
        return [self._title(i, self.labels) for i in range(len(self))]

    def plot(self, images: Any = None, names: Sequence[str] | None = None) -> Any:
        """Draws each decision: image, important pixels, attention, saliency, boxes (Fig. 1).

        Args:
            images: The pictures to draw on, (N images, H, W, 3 or 1) or one of them alone; uint8,
                or floats in [0, 1]. Default: the explained input, stretched to the range of
                colours. For preprocessed inputs the photos look better.
            names: Names of the classes, indexed by target. Default: `labels`.

        Returns:
            A `matplotlib.figure.Figure`, one row for each decision.
        """
        from ..pictures import figures

        pictures = self.pictures(images)
        attention, regions, boxes = self.attention(), self.saliency(), self.boxes()
        return figures.figure(
            [
                figures.Row(
                    pictures[i],
                    *self._points[i],
                    attention[i],
                    regions[i],
                    boxes[i],
                    title=self._title(i, names or self.labels),
                )
                for i in range(len(self))
            ]
        )

    def compare(self, images: Any = None, names: Sequence[str] | None = None) -> Any:
        """Draws why one class and not another: the pixels of either side, and of the difference.

        Args:
            images, names: As for `plot`.

        Returns:
            A `matplotlib.figure.Figure`, one row for each decision.

        Raises:
            ValueError: As for `sides`.
        """
        from ..pictures import figures

        pictures, names = self.pictures(images), names or self.labels
        sides = [
            [figures.Pixels(e._title(i, names), *e._points[i]) for e in (*self.sides, self)]
            for i in range(len(self))
        ]
        return figures.comparison(pictures, sides)

    @cached_property
    def sides(self) -> tuple["Explanation", "Explanation"]:
        """Of decisions between two classes, either class explained by itself.

        This runs the model again.

        Raises:
            ValueError: If a decision is not between two classes, or the model has changed.
        """
        if (self.versus < 0).any():
            raise ValueError(
                "Only decisions between two classes can be compared: explain(x, targets=(a, b)). "
                f"Received: targets {self.targets[self.versus < 0][:10].tolist()} alone."
            )
        x = [values[self.image_index] for values in self._kept_images()]
        x = x[0] if len(x) == 1 else x
        sides = [self._explain(x, t, labels=self.labels) for t in (self.targets, self.versus)]
        if not np.allclose(sides[0].scores, self.scores, rtol=1e-2, atol=1e-3):
            raise ValueError(
                "The model has changed since it was explained: explain again and compare that. "
                f"Received: scores of {sides[0].scores[:5]} now, {self.scores[:5]} then."
            )
        return sides[0].of(self.input), sides[1].of(self.input)

    def pictures(self, images: Any = None) -> list[np.ndarray]:
        """What each decision is drawn on.

        Args:
            images: As for `plot`.

        Returns:
            For each decision (H, W, 3) uint8, or floats in [0, 1].
        """
        from ..pictures import figures

        height, width = self._image_size()
        given = self._kept_images()[self._shown] if images is None else images
        pictures = np.asarray(given)
        pictures = pictures[None] if pictures.ndim == len(self.shape) else pictures
        count = int(self.image_index.max()) + 1 if self._images is None else len(self._images[0])
        if pictures.shape[1:3] != (height, width) or len(pictures) != count:
            raise ValueError(
                f"`images` must be the {count} explained images of size "
                f"{height} × {width}. Received: shape {np.shape(images)}."
            )
        return [figures.displayable(pictures[image]) for image in self.image_index]

    def _kept_images(self) -> Sequence[np.ndarray]:
        if self._images is None:
            raise ValueError(
                "The pictures of a data set are not kept. Give them where they are wanted, as in "
                "`plot(images)`, or take the explanations that `stream` yields, which have theirs. "
                f"Received: an explanation of {len(self)} decisions without pictures."
            )
        return self._images

    def to_html(
        self,
        images: Any = None,
        names: Sequence[str] | None = None,
        files: Sequence[str] | None = None,
        title: str = "Why the network decided so",
    ) -> str:
        """A page to explore the explanation, one file that opens in any browser, without a network.

        It shows the photo with layers to switch, sliders for the maps, and the way down through the
        network: the nodes M held at each layer, what they see, how much passed between them. For
        this the network runs once more on each image, and the steps of the walk are taken again;
        where its weights have changed since, activations and paths are left out.

        Args:
            images: The pictures to show, one for each row of `x`, each (h, w, 3 or 1) of any size,
                uint8 or floats in [0, 1]; what the network saw is all of each. Default: the
                explained input, stretched to the range of colours.
            names: Names of the classes, indexed by target. Default: `labels`.
            files: What the pictures are called, one for each row of `x`. Default: their numbers.
            title: Of the page.

        Returns:
            The HTML; `save("why.html")` writes it.

        Raises:
            ValueError: If the input is no picture, or there are not as many `images` or `files` as
                rows of `x`.
        """
        from ..pictures.page import page, shown

        pictures = self._report(images, names, files)
        return page([shown(picture, len(pictures)) for picture in pictures], title)

    def _report(
        self,
        images: Any = None,
        names: Sequence[str] | None = None,
        files: Sequence[str] | None = None,
    ) -> list[Any]:
        """A `report.Picture` for each image, with the decisions about it."""
        from ..pictures.page import pictures_of

        self._image_size()
        explained = self._kept_images()[self._shown]
        return pictures_of(self, explained, images, names or self.labels, files)

    def way_down(self, most_nodes: int) -> Way:
        """The way down through the network, as a page shows it. Runs the network once more.

        Args:
            most_nodes: About how many nodes each decision may have in all layers together.

        Raises:
            ValueError: If the pictures are not kept.
        """
        return way_down(self, most_nodes)

    def save(self, path: str | Path) -> None:
        """Writes the explanation to a file.

        Args:
            path: `.json` or `.npz` for the numbers (targets, scores, lost, pixels, mass, boxes);
                `.png`, `.pdf` or `.svg` for the figure; `.html` for the page to explore.

        Raises:
            ValueError: If the path ends in something else.
        """
        saving.write(self, Path(path))

    def _image_size(self) -> tuple[int, int]:
        if len(self.shape) != 3:
            raise ValueError(
                "Maps need an input of height × width × channels. "
                f"Received: an input of shape {self.shape}."
            )
        return self.shape[:2]

    def _title(self, i: int, names: Sequence[str] | None) -> str:
        target = int(self.targets[i])
        if target < 0:
            return f"a mask of units  {self.scores[i]:.3g}"
        if self.versus[i] < 0:
            return f"{short_name(target, names)}  {self.scores[i]:.3g}"
        one, other = (short_name(int(unit), names) for unit in (target, self.versus[i]))
        return "{} rather than {}\nlogits {:.3g} and {:.3g}".format(one, other, *self.logits[i])

    def __repr__(self) -> str:
        lines = [f"Explanation of {len(self)} decision{'s' * (len(self) != 1)}"]
        for i, (points, _) in enumerate(self._points[:8]):
            lines.append(
                f"  image {self.image_index[i]}: target {self.targets[i]}"
                f"{f' versus {self.versus[i]}' if self.versus[i] >= 0 else ''}, score "
                f"{self.scores[i]:.4g}, {len(points)} pixels, lost mass {self.lost[i]:.3g}"
            )
        return "\n".join(lines + ["  …"] * (len(self) > 8))

    def _repr_html_(self) -> str | None:
        from ..pictures.page import fragment

        return fragment(self[:8]._report()) if self._has_pictures() else None

    def _repr_png_(self) -> bytes | None:
        from ..pictures import figures

        return figures.png(self[:8].plot()) if self._has_pictures() else None

    def _has_pictures(self) -> bool:
        return len(self.shape) == 3 and self._images is not None
