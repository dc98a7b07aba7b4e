"""From an explanation to what a page shows of it: plain values and arrays in base64."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..class_names import label_of
from ..heatmaps import SIGMAS, THRESHOLDS
from ..photos import Frame
from .encoding import jpeg, pack, pixels_of

_NODE_BYTES = 75  # what a node takes in a page, about

if TYPE_CHECKING:
    from ...explanation.explanation import Explanation


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
    explanations: Sequence["Explanation"]
    names: Sequence[str] | None = None

    @property
    def alt(self) -> str:
        """What is to be said of the photo where it is not seen."""
        labels = [label_of(e, i, self.names) for e in self.explanations for i in range(len(e))]
        return f"{self.name}: what made the network see {' and '.join(labels)}"

    def still(self, longest: int) -> str:
        """The photo with the attention of the first decision over it, as a data address."""
        from ..overlays import with_attention

        attention = self.frame.map(self.explanations[0][0].attention()[0])
        return jpeg(with_attention(self.photo, attention), longest)


def pictures_of(
    e: "Explanation",
    explained: np.ndarray,
    images: Any,
    names: Sequence[str] | None,
    files: Sequence[str] | None,
) -> list[Picture]:
    """A picture for each image that decisions are about.

    Args:
        e: The decisions.
        explained: (N, H, W, C) what was explained.
        images, names, files: As for `Explanation.to_html`.
    """
    if images is None:
        images = explained
    elif np.ndim(images) == 3 and len(explained) == 1:
        images = [images]
    for name, given in (("images", images), ("files", files)):
        if given is not None and len(given) != len(explained):
            raise ValueError(
                f"`{name}` must have one entry for each of the {len(explained)} explained images. "
                f"Received: {len(given)}."
            )
    found = []
    for i in np.unique(e.image_index):
        photo = _photo(np.asarray(images[i]))
        name = str(files[i]) if files is not None else f"image {i}"
        frame = Frame.squeeze(photo.shape[:2], e.shape[:2])
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
    decisions = [
        {
            "target": int(e.targets[i]),
            "label": label_of(e, i, picture.names),
            "score": float(e.scores[i]),
            "logits": e.logits[i].tolist() if e.versus[i] >= 0 else None,
            "lost": float(e.lost[i]),
        }
        for e in picture.explanations
        for i in range(len(e))
    ]
    method = picture.explanations[0].method
    return listed(picture.name, picture.photo, picture.frame, method, decisions, longest)


def listed(
    name: str, photo: np.ndarray, frame: Frame, method: str, decisions: list[dict], longest: int
) -> dict:
    """A photo and where the network looked at it, beside what it decided."""
    height, width = frame.photo
    top, left, bottom, right = frame.part
    return {
        "name": name,
        "photo": jpeg(photo, longest),
        "photo_size": [height, width],
        # Shares of the photo, which may be shown at any size.
        "part": [top / height, left / width, bottom / height, right / width],
        "size": list(frame.network),
        # Where the sliders stand at first.
        "sigma": SIGMAS[method] * max(frame.network),
        "threshold": THRESHOLDS[method],
        "decisions": decisions,
    }


def details(picture: Picture, budget: int | None) -> dict:
    """The arrays of a picture: pixels and grid of each decision, and the nodes on the way.

    Args:
        picture: The picture.
        budget: About how many bytes the nodes of all decisions may take; None for no nodes.
    """
    decisions = [decision for e in picture.explanations for decision in _maps_of(e)]
    if budget is None:
        return {"decisions": decisions}
    first, about = 0, {}
    for e in picture.explanations:
        way = e.way_down(budget // (len(decisions) * _NODE_BYTES))
        for decision, nodes, summaries in zip(
            decisions[first : first + len(e)], way.nodes, way.summaries, strict=True
        ):
            decision["nodes"] = {name: pack(values) for name, values in nodes.items()}
            decision["layers"] = summaries
        # All are of one network, so what is said of its layers is the same.
        layers = [{**layer, "field": _packed_field(layer["field"])} for layer in way.layers]
        about = {"layers": layers, "is_current": way.is_current, "is_walk": way.is_walk}
        first += len(e)
    return {"decisions": decisions, **about}


def _packed_field(field: Sequence[np.ndarray] | None) -> list[str] | None:
    return None if field is None else [pack(bounds) for bounds in field]


def _maps_of(e: "Explanation") -> list[dict]:
    """Pixels and grid of each decision."""
    pairs = zip(e.pixels, e.mass, strict=True)
    found: list[dict[str, Any]] = [
        {"pixels": pixels_of(points, mass, e.shape[:2])} for points, mass in pairs
    ]
    try:
        grids = e.grid()
    except ValueError:  # The network has no other maps than the picture.
        grids = []
    for decision, grid in zip(found, grids, strict=False):
        decision["grid"] = {"size": list(grid.shape), "mass": pack(grid)}
    return found
