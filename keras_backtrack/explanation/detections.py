"""Objects in pictures: boxes with classes and scores (paper: section IV)."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checks import arguments
from ..pictures import heatmaps
from ..pictures.class_names import check_labels, short_name
from .decisions import Decision
from .files import write_text


class Detection(NamedTuple):
    """One object.

    Attributes:
        image: Which image it is in.
        target: Its class.
        name: The class's name.
        score: The network's output for the class in this image.
        mass: How much of the mass in pixels of this decision is in the box, from 0 to 1.
        box: (top, left, bottom, right) in pixels of the network's input, half open.
    """

    image: int
    target: int
    name: str
    score: float
    mass: float
    box: tuple[int, int, int, int]


class Detections(list):
    """The `Detection`s of some explained images, image by image, the highest score first.

    Attributes:
        labels: Names of the classes.
    """

    def __init__(
        self,
        found: Sequence[Detection],
        labels: tuple[str, ...],
        images: Sequence[int],
        size: tuple[int, int],
        pictures: Callable[[Any], list[np.ndarray]],
    ) -> None:
        super().__init__(sorted(found, key=lambda d: (d.image, -d.score, -d.mass)))
        self.labels = labels
        self._images = images
        self._size = size
        self._pictures = pictures

    @classmethod
    def of_decisions(
        cls,
        decisions: Sequence[Decision],
        labels: Sequence[str],
        size: tuple[int, int],
        pictures: Callable[[Any], list[np.ndarray]],
    ) -> "Detections":
        """Makes objects of the boxes of each decision.

        Args:
            decisions: The decisions.
            labels: Names of the classes.
            size: Height and width of the network's input.
            pictures: What each decision is drawn on, from what `plot` takes as `images`.

        Raises:
            TypeError: If the labels are no names.
            ValueError: If they are fewer than the explained classes, or masks were explained.
        """
        labels, targets = check_labels(labels), sorted({d.target for d in decisions})
        if targets[0] < 0 or targets[-1] >= len(labels):
            raise ValueError(
                "`labels` must be the names of all classes, and classes be what was explained. "
                f"Received: {len(labels)} names for targets {targets[:10]}."
            )
        found = [
            Detection(d.image, d.target, short_name(d.target, labels), d.score, *rest)
            for d in decisions
            for rest in _objects(d.boxes, d.pixels, d.mass)
        ]
        return cls(found, labels, [d.image for d in decisions], size, pictures)

    def plot(self, images: Any = None, columns: int = 4) -> Any:
        """Draws each image with its boxes, named.

        Args:
            images: As for `Explanation.plot`.
            columns: How many images beside one another.

        Returns:
            A `matplotlib.figure.Figure`.
        """
        from ..pictures import figures

        columns = arguments.whole_number("columns", columns)
        pictures = dict(zip(self._images, self._pictures(images), strict=True))
        named = [
            (picture, [(d.box, d.target, f"{d.name} {d.score:.2g}") for d in self.in_image(image)])
            for image, picture in pictures.items()
        ]
        return figures.named_boxes(named, columns)

    def in_image(self, image: int) -> "list[Detection]":
        """Those in one image, by its number."""
        arguments.whole_number("image", image, 0)
        return [detection for detection in self if detection.image == image]

    def to_coco(
        self, path: str | Path | None = None, names: Sequence[str] | None = None
    ) -> dict[str, list[dict]]:
        """The detections as a COCO data set, its annotations with scores (as COCO's results).

        Args:
            path: Where to write it to as JSON; None to return it only.
            names: The images' file names, indexed by image; by default numbers.

        Returns:
            A dict of `"images"`, `"categories"` (all classes) and `"annotations"`; boxes are
            [x, y, width, height] in pixels of the network's input.

        Raises:
            OSError: If it cannot be written there.
            TypeError: If `path` is no path, or `names` are none.
            ValueError: If there are fewer names than images.
        """
        numbers, (height, width) = sorted(set(self._images)), self._size
        names = None if names is None else arguments.texts("names", names, "names of files")
        if names is not None and len(names) <= numbers[-1]:
            raise ValueError(
                f"`names` must be the file names of all {numbers[-1] + 1} images. "
                f"Received: {len(names)} names."
            )
        images = [
            {
                "id": image,
                "file_name": str(image if names is None else names[image]),
                "height": height,
                "width": width,
            }
            for image in numbers
        ]
        annotations = []
        for number, found in enumerate(self, 1):
            top, left, bottom, right = found.box
            annotations.append(
                {
                    "id": number,
                    "image_id": found.image,
                    "category_id": found.target,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0,
                    "score": found.score,
                }
            )
        categories = [
            {"id": target, "name": short_name(target, self.labels)}
            for target in range(len(self.labels))
        ]
        coco = {"images": images, "categories": categories, "annotations": annotations}
        if path is not None:
            write_text(arguments.file("path", path), json.dumps(coco) + "\n")
        return coco


def _objects(
    boxes: np.ndarray, points: np.ndarray, mass: np.ndarray
) -> list[tuple[float, tuple[int, int, int, int]]]:
    """Boxes that hold a cluster of pixels, behind their share of the mass.

    A box around a lone pixel, where there are others, is no object.

    Args:
        boxes: (B, 4) int rows (top, left, bottom, right), half open.
        points: (P, 2) int rows (row, column).
        mass: (P,) float.
    """
    found = []
    for box in boxes.tolist():
        inside = heatmaps.inside(points, box)
        if inside.sum() > 1 or len(points) == 1:
            found.append((float(mass[inside].sum() / mass.sum()), tuple(box)))
    return found
