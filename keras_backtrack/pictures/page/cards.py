"""From an explanation to what a page shows of it: plain values and arrays in base64."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ...checks import arguments
from ..heatmaps import LAYER_SIGMAS, SIGMAS, THRESHOLDS, defaults_of
from ..photos import Frame
from .encoding import jpeg, pack, pixels_of

_NODE_BYTES = 75  # what a node takes in a page, about
# Fields of a decision that are listed; its pixels come with the details.
_LISTED = ("target", "target_name", "score", "versus", "versus_name", "logits", "lost")


class Decision(Protocol):
    """What a page shows of one decision; `explanation.decisions.Decision` says what they are."""

    @property
    def label(self) -> str: ...

    @property
    def target(self) -> int: ...

    @property
    def target_name(self) -> str: ...

    @property
    def score(self) -> float: ...

    @property
    def versus(self) -> int | None: ...

    @property
    def versus_name(self) -> str | None: ...

    @property
    def logits(self) -> tuple[float, float] | None: ...

    @property
    def lost(self) -> float: ...

    @property
    def pixels(self) -> np.ndarray: ...

    @property
    def mass(self) -> np.ndarray: ...

    @property
    def cells(self) -> np.ndarray | None: ...


class Explained(Protocol):
    """What a page asks of an `Explanation`."""

    method: str
    shape: tuple[int, ...]
    image_index: np.ndarray

    def __getitem__(self, key: int | np.ndarray) -> "Explained": ...

    def decisions(self, names: Sequence[str] | None) -> Sequence[Decision]: ...

    def attention(self) -> np.ndarray: ...

    def grid(self) -> np.ndarray: ...

    def way_down(self, most_nodes: int) -> Any: ...


@dataclass(frozen=True)
class Picture:
    """A photo and the decisions about it.

    Attributes:
        name: What it is called, such as its file's name.
        photo: (H, W, 3) uint8, as it is shown.
        frame: Which part of it the network saw.
        explanations: The decisions, all about this photo.
        names: Names of the classes by number, or None.
    """

    name: str
    photo: np.ndarray
    frame: Frame
    explanations: Sequence[Explained]
    names: Sequence[str] | None = None

    @cached_property
    def decisions(self) -> list[Sequence[Decision]]:
        """Those of each of `explanations`."""
        return [e.decisions(self.names) for e in self.explanations]

    @property
    def alt(self) -> str:
        """What is to be said of the photo where it is not seen."""
        labels = [decision.label for decisions in self.decisions for decision in decisions]
        return f"{self.name}: what made the network see {' and '.join(labels)}"

    def still(self, longest: int) -> str:
        """The photo with the attention of the first decision over it, as a data address."""
        from ..overlays import with_attention

        attention = self.frame.map(self.explanations[0][0].attention()[0])
        return jpeg(with_attention(self.photo, attention), longest)


def pictures_of(
    e: Explained,
    explained: Any,
    images: Any,
    names: Sequence[str] | None,
    files: Sequence[str] | None,
) -> list[Picture]:
    """A picture for each image that decisions are about.

    Args:
        e: The decisions.
        explained: (N, H, W, C) what was explained, or rows of that, by their numbers.
        images, names, files: As for `Explanation.to_html`.
    """
    if images is None:
        images = explained
    elif getattr(images, "ndim", 0) == 3 and len(explained) == 1:
        images = [images]
    files = None if files is None else arguments.texts("files", files, "names of files")
    for name, given in (("images", images), ("files", files)):
        count = arguments.length(given)
        if given is not None and count != len(explained):
            raise ValueError(
                f"`{name}` must have one entry for each of the {len(explained)} explained images. "
                f"Received: {count or 'none'}."
            )
    height, width = e.shape[:2]
    found = []
    for i in np.unique(e.image_index):
        photo = _photo(arguments.numbers("images", images[i]))
        name = str(files[i]) if files is not None else f"image {i}"
        frame = Frame.squeeze(photo.shape[:2], (height, width))
        own = e[np.flatnonzero(e.image_index == i)]
        found.append(Picture(name, photo, frame, [own], names))
    return found


def _photo(image: np.ndarray) -> np.ndarray:
    """Any image as (H, W, 3) uint8."""
    from ..figures import displayable

    if image.ndim != 3 or image.dtype.kind not in "uif":
        raise ValueError(
            "Each of `images` must be of height × width × channels, uint8 or floats in [0, 1]. "
            f"Received: shape {image.shape}, dtype {image.dtype}."
        )
    image = displayable(image)
    return image if image.dtype == np.uint8 else np.round(255 * image).astype(np.uint8)


def overview(picture: Picture, longest: int) -> dict:
    """What is needed of a picture to list it: its photo, and what was decided.

    Args:
        picture: The picture.
        longest: Pixels of the longer side it is shown with at most.
    """
    decisions = [decision for decisions in picture.decisions for decision in decisions]
    method = picture.explanations[0].method
    return listed(picture.name, picture.photo, picture.frame, method, decisions, longest)


def listed(
    name: str,
    photo: np.ndarray,
    frame: Frame,
    method: str,
    decisions: Sequence[Decision],
    longest: int,
) -> dict:
    """A photo and where the network looked at it, beside what it decided."""
    height, width = frame.photo
    top, left, bottom, right = frame.part
    has_cells = decisions[0].cells is not None
    defaults, shares = defaults_of(method, has_cells), LAYER_SIGMAS if has_cells else SIGMAS
    return {
        "name": name,
        "photo": jpeg(photo, longest),
        "photo_size": [height, width],
        # Shares of the photo, which may be shown at any size.
        "part": [top / height, left / width, bottom / height, right / width],
        "size": list(frame.network),
        # Where the sliders stand at first.
        "sigma": shares[defaults] * max(frame.network),
        "threshold": THRESHOLDS[defaults],
        "decisions": [
            {"label": decision.label, **{name: getattr(decision, name) for name in _LISTED}}
            for decision in decisions
        ],
    }


def details(picture: Picture, budget: int | None) -> dict:
    """The arrays of a picture: pixels and maps of each decision, and the nodes on the way.

    Args:
        picture: The picture.
        budget: About how many bytes the nodes of all decisions may take; None for no nodes.
    """
    pairs = zip(picture.explanations, picture.decisions, strict=True)
    maps = [_maps_of(e, decisions) for e, decisions in pairs]
    about = {} if budget is None else _add_ways(picture.explanations, maps, budget)
    return {"decisions": [own for some in maps for own in some], **about}


def _maps_of(e: Explained, decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Pixels of each decision, and mass in the cells of the fine layer and of the last map."""
    found: list[dict[str, Any]] = [arrays_of(decision, e.shape[:2]) for decision in decisions]
    try:
        grids: Iterable[np.ndarray] = e.grid()
    except ValueError:  # The network has no other maps than the picture.
        grids = []
    for maps, grid in zip(found, grids, strict=False):
        maps["grid"] = _packed_map(grid)
    return found


def arrays_of(decision: Decision, size: Sequence[int]) -> dict[str, Any]:
    """What a page draws a decision's maps of.

    Args:
        decision: With pixels in the coordinates of the network's input.
        size: Height and width of that.
    """
    pixels = {"pixels": pixels_of(decision.pixels, decision.mass, size)}
    if decision.cells is None:
        return pixels
    return {**pixels, "cells": _packed_map(decision.cells)}


def _packed_map(cells: np.ndarray) -> dict[str, Any]:
    return {"size": list(cells.shape), "mass": pack(cells)}


def _add_ways(explanations: Sequence[Explained], maps: Sequence[list[dict]], budget: int) -> dict:
    """Adds the nodes of each decision to its maps; returns what is said of the layers."""
    most, about = budget // (sum(map(len, maps)) * _NODE_BYTES), {}
    for e, own in zip(explanations, maps, strict=True):
        way = e.way_down(most)
        for decision, nodes, summaries in zip(own, way.nodes, way.summaries, strict=True):
            decision["nodes"] = {name: pack(values) for name, values in nodes.items()}
            decision["layers"] = summaries
        # All are of one network, so what is said of its layers is the same.
        layers = [{**layer, "field": _packed_field(layer["field"])} for layer in way.layers]
        about = {"layers": layers, "is_current": way.is_current, "note": way.note}
    return about


def _packed_field(field: Sequence[np.ndarray] | None) -> list[str] | None:
    return None if field is None else [pack(bounds) for bounds in field]
