"""From an explanation to what a page shows of it: plain values and arrays in base64."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..labels import short_name
from ..maps import SIGMAS, THRESHOLDS
from ..photos import Frame
from .fields import Field, receptive_fields
from .layers import Shown, shown_layers
from .nodes import NOBODY, links, summary, table
from .retraced import Retraced

if TYPE_CHECKING:
    from ..explanation import Explanation

_NODE_BYTES = 75  # what a node takes in a page, about
_LEAST, _MOST = 10, 300  # nodes of a layer


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
    from ..plotting import displayable

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
        own = decisions[first : first + len(e)]
        # All are of one network, so what is said of its layers is the same.
        about = _with_nodes(own, e, budget * len(e) // len(decisions))
        first += len(e)
    return {"decisions": decisions, **about}


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


def _with_nodes(decisions: list[dict], e: "Explanation", budget: int) -> dict:
    """Adds the nodes to each decision, and returns what describes the layers they are in."""
    walk = Retraced(e)
    shown = shown_layers(walk.graph, walk.tracks.rules, walk.tensors)
    kept = [n for n in shown.numbers if n in walk.nodes(0)]
    fields = receptive_fields(walk.graph, walk.tracks.rules, walk.tensors, walk.picture)
    count = max(sum(n in walk.nodes(i) for i in range(len(e)) for n in kept), 1)
    most = int(np.clip(budget // (count * _NODE_BYTES), _LEAST, _MOST))
    activations = {
        n: np.asarray(walk.tensors[n], np.float32).reshape(-1) if walk.is_current else None
        for n in shown.numbers
    }
    for i, decision in enumerate(decisions):
        nodes = walk.nodes(i)
        at = [nodes.get(n, NOBODY) for n in shown.numbers]
        found = {}
        if walk.is_current:
            found = links(walk.tracks.edges(walk.tensors, nodes), nodes, shown)
        columns = table(at, found, list(activations.values()), most)
        decision["nodes"] = {name: pack(values) for name, values in columns.items()}
        decision["layers"] = [
            summary(held, tuple(walk.tensors[n].shape[1:]))
            for held, n in zip(at, shown.numbers, strict=True)
        ]
    return {
        "layers": [_layer(walk, shown, n, fields.get(n)) for n in shown.numbers],
        "is_current": walk.is_current,
        "is_walk": walk.tracks.limits is not None,
    }


def _layer(walk: Retraced, shown: Shown, number: int, field: Field | None) -> dict:
    chain = shown.calls[shown.place(number)]
    name = walk.graph.names[number]
    return {
        "name": chain[0].name if chain else name,
        "kind": chain[0].kind if chain else "input",
        "then": [call.kind for call in chain[1:]],
        "nodes": name,  # what `Explanation.nodes` takes
        "shape": [int(size) for size in walk.tensors[number].shape[1:]],
        "field": None if field is None else [pack(bounds) for bounds in field],
    }


def label_of(e: "Explanation", i: int, names: Sequence[str] | None) -> str:
    """What a decision is called: its class's first name, or its number."""

    def name(target: int) -> str:
        return short_name(target, names) if names is not None else f"class {target}"

    if e.targets[i] < 0:
        return "a mask of units"
    if e.versus[i] < 0:
        return name(int(e.targets[i]))
    return f"{name(int(e.targets[i]))} rather than {name(int(e.versus[i]))}"


def jpeg(photo: np.ndarray, longest: int) -> str:
    """A picture as a data address, scaled down where it is larger."""
    image = Image.fromarray(photo)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # Small ones are shown enlarged, so that losses would be seen.
    image.save(buffer, "JPEG", quality=85 if max(image.size) > 400 else 95, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


_DTYPES = {"f": np.dtype("<f4"), "i": np.dtype("<i4"), "u": np.dtype("<i4"), "b": np.dtype("i1")}


def pack(values: np.ndarray) -> str:
    """An array as text: `f4:`, `i4:` or `i1:` and its bytes, little-endian, in base64."""
    values = np.asarray(values)
    dtype = np.dtype("i1") if values.dtype == np.int8 else _DTYPES[values.dtype.kind]
    data = base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()
    return f"{dtype.str[1:]}:{data}"


def pixels_of(points: np.ndarray, mass: np.ndarray, size: Sequence[int]) -> dict:
    """Important pixels as places and masses, or as a map of all pixels, whichever is shorter."""
    place = np.ravel_multi_index(tuple(points.T), tuple(size))
    if 2 * len(mass) < size[0] * size[1]:
        return {"place": pack(place), "mass": pack(mass)}
    whole = np.zeros(size[0] * size[1], np.float32)
    whole[place] = mass
    return {"map": pack(whole)}
