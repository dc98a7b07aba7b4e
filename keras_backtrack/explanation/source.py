"""What all views of an explanation share: what runs held at each layer, and the images."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..pictures import heatmaps
from .decisions import Decisions
from .layer_nodes import HeldNodes, LayerNodes
from .way.retraced import Answers, Retraced


@dataclass(frozen=True)
class Source:
    """Where an explanation and its slices come from.

    Attributes:
        layers: What the runs held at each layer.
        images: The whole of each of the model's inputs; None where they were not kept.
        labels: Names of the classes, or None.
        meaning: What targets stand for, as `short_name` takes it.
        method: How paths were followed.
        contrast: What was asked: the bar as a share of the mean over places, None without contrast.
        fine: By name of an input that of its fine layer, where there is one.
        ends: By name of an input that of the layer where the way to it ended before.
        starts: Numbers of the tensors that paths are followed from: the output, or with contrast
            the last maps.
        explain: Explains other decisions, as `BacktrackExplainer.explain`.
    """

    layers: HeldNodes
    images: Sequence[np.ndarray] | None
    labels: tuple[str, ...] | None
    meaning: str
    method: str
    contrast: float | None
    fine: Mapping[str, str]
    ends: Mapping[str, str]
    starts: Collection[int]
    explain: Callable[..., Any]

    @property
    def first_picture(self) -> str:
        """Name of the first input that is a picture, or of the first where none is."""
        inputs = self.layers.inputs
        return next((name for name in inputs if len(self.layers.shape_of(name)) == 3), inputs[0])

    def points(self, name: str, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of some decisions the places in an input, and their mass.

        Args:
            name: Of the input.
            rows: Which decisions.
        """
        nodes = LayerNodes(self.layers.held(self.ends.get(name, name)), rows)
        # The last axis holds the channels of a pixel; an input without one has single units.
        axes = max(len(nodes.shape) - 1, 1)
        # Of a layer's cell the pixel in the middle.
        scale = np.divide(self.layers.shape_of(name)[:axes], nodes.shape[:axes])
        return [
            heatmaps.unique_points(((at[:, :axes] + 0.5) * scale).astype(np.int32), mass)
            for at, mass in zip(nodes, nodes.mass, strict=True)
        ]

    def kept(self, name: str) -> np.ndarray:
        """The whole of an input: (N images, ...)."""
        return self.kept_images()[self.layers.inputs.index(name)]

    def kept_images(self) -> Sequence[np.ndarray]:
        """The whole of each of the model's inputs.

        Raises:
            ValueError: If they were not kept.
        """
        if self.images is None:
            raise ValueError(
                "The pictures of a data set are not kept. Give them where they are wanted, as in "
                "`plot(images)`, or take the explanations that `stream` yields, which have theirs. "
                "Received: an explanation of a data set."
            )
        return self.images

    def pictures(self, name: str, given: Any, image_index: np.ndarray) -> list[np.ndarray]:
        """What decisions are drawn on.

        Args:
            name: Of the input that is a picture.
            given: As for `Explanation.plot`.
            image_index: (N,) int64, which image each decision is about.

        Returns:
            For each decision (H, W, 3) uint8, or floats in [0, 1].
        """
        from ..pictures.figures import displayable

        height, width, _ = self.layers.shape_of(name)
        pictures = np.asarray(self.kept(name) if given is None else given)
        pictures = pictures[None] if pictures.ndim == 3 else pictures
        count = int(image_index.max()) + 1 if self.images is None else len(self.images[0])
        if pictures.shape[1:3] != (height, width) or len(pictures) != count:
            raise ValueError(
                f"`images` must be the {count} explained images of size "
                f"{height} × {width}. Received: shape {np.shape(given)}."
            )
        return [displayable(pictures[image]) for image in image_index]

    def retraced(self, name: str, rows: np.ndarray, asked: Decisions) -> Retraced:
        """The steps of decisions about one image, taken again.

        Args:
            name: Of the input that pixels are about.
            rows: Which decisions.
            asked: What they were.
        """
        graph, image = self.layers.graph, int(asked.image_index[0])
        inputs = [values[image : image + 1] for values in self.kept_images()]
        nodes = [self.layers.all_of(row) for row in rows]
        picture = graph.inputs[self.layers.inputs.index(name)]
        answers = Answers(asked.targets, asked.scores, self.meaning)
        return Retraced(
            graph, self.layers.tracks, inputs, picture, nodes, answers, self.method, self.starts
        )
