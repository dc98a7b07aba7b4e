"""`Explanation`: the views on a result, each computed when asked for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import arguments
from ..pictures import heatmaps
from ..pictures import refine as refinement
from ..pictures.photos import Frame
from . import files
from .decisions import NO_BOXES, Decision
from .detections import Detections
from .plain import Plain
from .result import Result
from .way.columns import Way, way_down
from .way.retraced import Retraced


class Explanation(Result):
    """Why a network decided as it did, for N decisions.

    `e[i]` is the explanation of one decision and `e[i:j]` of some, both with everything below.

    Attributes:
        targets: (N,) int64, the explained unit of the output, row-major; -1 for a mask of units. Of
            one unit that ends in a sigmoid 0 is no and 1 is yes.
        versus: (N,) int64, the foil, the unit it is contrasted with; -1 where there is none.
        scores: (N,) float32, the output at the target, or its mean over the mask. Where the output
            is one unit that ends in a sigmoid, that of class 0 is what is left of 1.
        side: (N,) float32, +1 where it was asked why the explained unit is high, -1 why it is low.
        logits: (N, 2) float32, the values of target and foil before the output's activation; NaN
            where there is no foil.
        lost: (N,) float32, the mass of paths that ended before they reached the input.
        image_index: (N,) int64, the row of `x` each decision is about.
        input: Name of the input that `pixels`, `mass` and all maps are about; `of` takes another.
        shape: Sizes of that input after the batch axis, such as (224, 224, 3).
        labels: Names of the classes, or None. Of one unit that nobody has named it is "no" and
            "yes", or "output" where it does not end in a sigmoid.
        method: Which paths were followed, `"backtrack"`, `"viterbi"` or `"posterior"`.
        contrast: The bar that places were held against, a share of the mean over them; None where
            the plain question was asked.
        fine_layer: Name of the layer that attention, regions and boxes are read at; None where they
            are the pixels'.
        down_to: Name of the layer where the way back ended, the middle of whose cells are `pixels`;
            None where it went down to the input.
    """

    @property
    def fine_layer(self) -> str | None:
        return self._source.fine.get(self.input, self.down_to)

    @property
    def down_to(self) -> str | None:
        return self._source.ends.get(self.input)

    @property
    def _defaults(self) -> str:
        return heatmaps.defaults_of(self.method, self.fine_layer is not None)

    def sigma(self, layer: str | None = None) -> float:
        """The Gaussian that `attention` takes where it is given none, in pixels of the input.

        Args:
            layer: As for `attention`.
        """
        layer = self.fine_layer if layer is None else self._source.layers.named(layer)
        shares = heatmaps.SIGMAS if layer in (None, self.input) else heatmaps.LAYER_SIGMAS
        return shares[self._defaults] * max(self._image_size())

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
            sigma: Standard deviation of the Gaussian around each pixel or cell, in pixels of the
                input. Default, in shares of the longer side: 1 % for the cells of a layer, which
                are wide already, 1.5 % at the fine layer, and for pixels 3 % where all paths were
                followed down to them and 7 % where they are few; also 7 % for the cells that
                `"viterbi"` comes through.
            layer: Name of a layer with a spatial output, whose cells' mass is taken; the name of
                the input takes that of the pixels. Default: the fine layer, where the explanation
                has one.
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
        layer = self.fine_layer if layer is None else self._source.layers.named(layer)
        is_of_pixels = layer in (None, self.input)
        sigma = self.sigma(layer) if sigma is None else sigma
        if is_of_pixels:
            found = [heatmaps.attention(p, m, *size, sigma) for p, m in self._points]
        else:
            cells = self.mass_map(layer)
            found = [heatmaps.attention_of_grid(grid, *size, sigma) for grid in cells]
        if (kind := refinement.asked(refine, images)) is not None:
            pictures = self.pictures(images)
            found = [refinement.refine(a, p, kind) for a, p in zip(found, pictures, strict=True)]
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
            threshold: Between 0 and 1. Default: 0.18, for `"viterbi"` 0.15, for
                `"posterior"` 0.2; with `refine` 0.5.
            sigma, layer, refine, images: As for `attention`.

        Returns:
            (N, H, W) bool.
        """
        if threshold is None:
            own = heatmaps.THRESHOLDS[self._defaults]
            threshold = own if refine is None else refinement.THRESHOLD
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

        Regions that hold less than 5 % of the mass are left out.

        Args:
            sigma, threshold, layer, refine, images: As for `saliency`.
            labels: Names of the classes, to get objects: boxes around lone pixels left out, with
                classes and scores, to be drawn and exported. See `explain(x, top=3)`.

        Returns:
            For each decision (B, 4) int32 rows (top, left, bottom, right), half open; the one
            with the largest mass first. With labels `Detections`.
        """
        regions = self.saliency(sigma, threshold, layer=layer, refine=refine, images=images)
        layer, held = self.fine_layer if layer is None else layer, self._points
        if layer not in (None, self.input):
            size = self._image_size()
            held = [heatmaps.centres(grid, *size) for grid in self.mass_map(layer)]
        found = [heatmaps.boxes(r, *points) for r, points in zip(regions, held, strict=True)]
        if labels is None:
            return found
        records = [
            replace(record, pixels=points, mass=mass)
            for record, (points, mass) in zip(self._records(found), held, strict=True)
        ]
        return Detections.of_decisions(records, labels, self._image_size(), self.pictures)

    def decisions(
        self, names: Sequence[str] | None = None, frames: Sequence[Frame] | None = None
    ) -> list[Decision]:
        """Each decision in plain values: what files, tables and pages hold of it.

        Args:
            names: Names of the classes, indexed by target. Default: `labels`.
            frames: For each decision the part of a photo that was its input, to have pixels and
                boxes in the photo's coordinates. Default: those of the input.
        """
        boxes = self.boxes() if len(self.shape) == 3 else [NO_BOXES] * len(self)
        if frames is not None and not _are_frames(frames, len(self)):
            raise TypeError(
                f"`frames` must be a list of {len(self)} `Frame`s, one for each decision. "
                f"Received: {frames!r}."
            )
        return self._records(boxes, names, frames)

    def _records(
        self,
        boxes: Sequence[np.ndarray],
        names: Sequence[str] | None = None,
        frames: Sequence[Frame] | None = None,
    ) -> list[Decision]:
        names = self._named(names)
        cells: Sequence[np.ndarray | None] = [None] * len(self)
        if self.fine_layer is not None and len(self.shape) == 3:
            cells = list(self.mass_map(self.fine_layer))
        values = self.input_mass, self._points, boxes, cells, frames
        return self._asked.records(names, self._source.meaning, *values)

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

        pictures, titles = self.pictures(images), self._titles(self._named(names))
        maps = self.attention(), self.saliency(), self.boxes()
        columns = zip(pictures, self._points, *maps, titles, strict=True)
        rows = [figures.Row(picture, *points, *rest) for picture, points, *rest in columns]
        return figures.figure(rows)

    def compare(self, images: Any = None, names: Sequence[str] | None = None) -> Any:
        """Draws why one class and not another: either class's attention, their difference (red
        where the target has more, blue where the foil has), and the pixels of the decision.

        Args:
            images, names: As for `plot`.

        Returns:
            A `matplotlib.figure.Figure`, one row for each decision.

        Raises:
            ValueError: As for `sides`.
        """
        from ..pictures import figures

        names, sides = self._named(names), self.sides
        leads = self._asked.leads(names, self._source.meaning)
        titles = [*(side._titles(names) for side in sides), leads, self._titles(names)]
        maps = zip(*(side.attention() for side in sides), strict=True)
        columns = self.pictures(images), maps, self.pixels, self.mass, zip(*titles, strict=True)
        return figures.comparison([figures.Pair(*row) for row in zip(*columns, strict=True)])

    def difference(self, sigma: float | None = None, *, layer: str | None = None) -> np.ndarray:
        """Where which of two classes leads: the target's attention less the foil's.

        By how much it leads in all, `logits` say.

        Args:
            sigma, layer: As for `attention`.

        Returns:
            (N, H, W) float32 in [-1, 1], above 0 where the target has more, below 0 where the foil.

        Raises:
            ValueError: As for `sides`.
        """
        one, other = (side.attention(sigma, layer=layer) for side in self.sides)
        return one - other

    def pictures(self, images: Any = None) -> list[np.ndarray]:
        """What each decision is drawn on.

        Args:
            images: As for `plot`.

        Returns:
            For each decision (H, W, 3) uint8, or floats in [0, 1].
        """
        self._image_size()
        return self._source.pictures(self.input, images, self.image_index)

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
        from ..pictures.page import entry, page

        pictures = self._report(images, names, files)
        title = arguments.text("title", title)
        return page([entry(picture, len(pictures)) for picture in pictures], title)

    def _report(
        self,
        images: Any = None,
        names: Sequence[str] | None = None,
        files: Sequence[str] | None = None,
    ) -> list[Any]:
        """A `Picture` of the page for each image, with the decisions about it."""
        from ..pictures.page import pictures_of

        self._image_size()
        explained = self._source.kept(self.input)
        return pictures_of(self, explained, images, self._named(names), files)

    def way_down(self, most_nodes: int) -> Way:
        """The way down through the network, as a page shows it. Runs the network once more.

        Args:
            most_nodes: About how many nodes each decision may have in all layers together.

        Raises:
            ValueError: If the pictures are not kept.
        """
        return way_down(self._retraced(), arguments.whole_number("most_nodes", most_nodes, 0))

    def _retraced(self) -> Retraced:
        return self._source.retraced(self.input, self._rows, self._asked)

    def save(self, path: str | Path) -> None:
        """Writes the explanation to a file.

        Args:
            path: `.json` or `.npz` for all of it but the pictures, which `load` reads, and the
                fields of `decisions` for others to read; `.png`, `.pdf` or `.svg` for the figure;
                `.html` for the page to explore.

        Raises:
            OSError: If it cannot be written there.
            TypeError: If it is no path.
            ValueError: If it ends in something else, or the explanation is of no decision.
        """
        path = arguments.file("path", path)
        if not len(self):
            raise ValueError("At least one decision is saved. Received: an explanation of none.")
        if path.suffix in files.FORMATS:
            plain = Plain.of(self._asked, self._source, self._rows, self.input)
            files.write(path, plain, self.decisions())
        else:
            files.write_view(path, self.plot, self.to_html)

    @classmethod
    def load(cls, path: str | Path) -> "Explanation":
        """Reads what `save` wrote as `.json` or `.npz`.

        Pictures are not in there: give them to `plot`, or, with an explainer for what runs the
        network again, to `explained_by`.

        Args:
            path: The file.

        Raises:
            OSError: If it cannot be read.
            TypeError: If it is no path.
            ValueError: If it is no such file, is damaged, or a newer version wrote it.
        """
        return cls(*files.read(arguments.file("path", path)).taken_in(None))

    def _repr_html_(self) -> str | None:
        from ..pictures.page import fragment

        return fragment(self[:8]._report()) if self._has_pictures() else None

    def _repr_png_(self) -> bytes | None:
        from ..pictures import figures

        return figures.png(self[:8].plot()) if self._has_pictures() else None

    def _has_pictures(self) -> bool:
        return len(self.shape) == 3 and self._images is not None


def _are_frames(frames: Any, count: int) -> bool:
    is_list = isinstance(frames, (list, tuple)) and len(frames) == count
    return is_list and all(isinstance(frame, Frame) for frame in frames)
