"""What all views of an explanation share: what runs held at each layer, and the images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..graph.layout import places_first
from ..pictures import heatmaps
from .decisions import Decisions
from .images import Images
from .layer_nodes import HeldNodes, LayerNodes
from .network import Network
from .way.retraced import Answers, Retraced


@dataclass(frozen=True)
class Source:
    """Where an explanation and its slices come from.

    Attributes:
        layers: What the runs held at each layer.
        images: The rows of each of the model's inputs; None where they were not kept.
        labels: Names of the classes, or None.
        meaning: What targets stand for, as `short_name` takes it.
        method: How paths were followed.
        contrast: What was asked: the bar as a share of the mean over places, None without contrast.
        fine: By name of an input that of its fine layer, where there is one.
        ends: By name of an input that of the layer where the way to it ended before.
        channels_first: Names of the tensors whose channels are before their places.
        network: Runs the network again; None in a copy from elsewhere.
        words: By name of an input whose positions are words, those of each row by its number.
    """

    layers: HeldNodes
    images: Sequence[Images] | None
    labels: tuple[str, ...] | None
    meaning: str
    method: str
    contrast: float | None
    fine: Mapping[str, str]
    ends: Mapping[str, str]
    channels_first: Sequence[str] = ()
    network: Network | None = None
    words: Mapping[str, Mapping[int, Sequence[str]]] = field(default_factory=dict)

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
        end = self.ends.get(name, name)
        nodes = LayerNodes(self.layers.held(end), rows)
        # Of a layer's cell the pixel in the middle.
        scale = np.divide(self.sizes(name), self.sizes(end))
        return [
            heatmaps.unique_points(((at + 0.5) * scale).astype(np.int32), mass)
            for at, mass in zip(self.places(end, nodes), nodes.mass, strict=True)
        ]

    def sizes(self, name: str) -> tuple[int, ...]:
        """Sizes of a tensor's places: rows and columns of a map, the units of a vector."""
        shape = self.layers.shape_of(name)
        return places_first(shape, name in self.channels_first)[: max(len(shape) - 1, 1)]

    def places(self, name: str, nodes: LayerNodes) -> list[np.ndarray]:
        """The places that nodes of a tensor are at, (M, axes) for each decision."""
        axes = max(len(nodes.shape) - 1, 1)
        first = int(name in self.channels_first)
        return [at[:, first : first + axes] for at in nodes]

    def last_map(self) -> str:
        """Name of the last layer whose output is a map, not a single cell.

        Raises:
            ValueError: If there is none.
        """
        for name in reversed(self.layers.names):
            if len(self.layers.shape_of(name)) == 3 and math.prod(self.sizes(name)) > 1:
                return name
        raise ValueError(
            "`grid` needs a layer with a spatial output. "
            f"Received: a model without one, its layers {self.layers.names[:10]}."
        )

    def asked_again(self) -> Network:
        """Who runs the network again.

        Raises:
            ValueError: If nobody does.
        """
        if self.network is None:
            raise ValueError(
                "A copy of an explanation, from a file or another process, has no network to run "
                "again: e.explained_by(explainer) has. Received: an explanation without."
            )
        return self.network

    def with_network(self, network: Any, x: Any) -> "Source":
        """The same with a network to run again.

        Args:
            network: Of the explainer.
            x: As for `Explanation.explained_by`.
        """
        if not isinstance(network, Network):
            raise TypeError(f"`explainer` must be a BacktrackExplainer. Received: {network!r}.")
        method, contrast = network.settings
        if (method, contrast) != (self.method, self.contrast):
            raise ValueError(
                f"`explainer` must have method={self.method!r} and contrast={self.contrast}, as "
                f"the one that explained. Received: method={method!r}, contrast={contrast}."
            )
        if not network.has(self.layers.shapes):
            raise ValueError(
                "`explainer` must be of the network that was explained, its layers called the same "
                "and of the same sizes. Received: an explainer of another one, with the tensors "
                f"{list(network.graph.names.values())[:5]}, …"
            )
        images = self.images if x is None else network.checked(x).x
        return replace(self, network=network, images=images)

    def kept(self, name: str) -> Images:
        """The rows of an input: (N images, ...)."""
        return self.kept_images()[self.layers.inputs.index(name)]

    def kept_images(self) -> Sequence[Images]:
        """The rows of each of the model's inputs.

        Raises:
            ValueError: If they were not kept.
        """
        if self.images is None:
            raise ValueError(
                "The pictures of a data set are not kept, and files hold none. Give them where "
                "they are wanted, as in `plot(images)` or `explained_by(explainer, x)`, or take "
                "the explanations that `stream` yields, which have theirs. "
                "Received: an explanation without its pictures."
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

        kept: Images = self.kept(name) if given is None else self._given(name, given, image_index)
        shown = [kept[image] for image in image_index]
        if name in self.channels_first:
            shape = self.layers.shape_of(name)
            shown = [np.moveaxis(own, 0, -1) if own.shape == shape else own for own in shown]
        return [displayable(own) for own in shown]

    def _given(self, name: str, given: Any, image_index: np.ndarray) -> np.ndarray:
        """Pictures that a user gave, checked."""
        height, width = self.sizes(name)
        try:
            pictures = np.asarray(given)
        except ValueError:
            pictures = np.empty(len(given), object)
        pictures = pictures[None] if pictures.ndim == 3 else pictures
        count = int(image_index.max()) + 1 if self.images is None else len(self.images[0])
        is_alike = (
            pictures.ndim > 0
            and len(pictures) == count
            and (
                pictures.shape[1:3] == (height, width)
                or pictures.shape[1:] == self.layers.shape_of(name)
            )
        )
        if not is_alike or pictures.ndim != 4 or pictures.dtype.kind not in "uif":
            raise ValueError(
                f"`images` must be the {count} explained images of size "
                f"{height} × {width}, as numbers. Received: shape {pictures.shape}, dtype "
                f"{pictures.dtype}."
            )
        return pictures

    def retraced(self, name: str, rows: np.ndarray, asked: Decisions) -> Retraced:
        """The steps of decisions about one image, taken again.

        Args:
            name: Of the input that pixels are about.
            rows: Which decisions.
            asked: What they were.
        """
        network, image = self.asked_again(), int(asked.image_index[0])
        inputs = [values[image : image + 1] for values in self.kept_images()]
        nodes = [
            {network.graph.numbers[name]: held for name, held in self.layers.all_of(row).items()}
            for row in rows
        ]
        answers = Answers(asked.targets, asked.scores, self.meaning)
        return Retraced(
            *(network.graph, network.tracks, inputs, network.graph.numbers[name], nodes, answers),
            *(self.method, network.starts),
        )
