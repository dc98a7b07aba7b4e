"""A decision as a record: what every file, table and page says of it, under the same names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..pictures import heatmaps
from ..pictures.class_names import label_of, lead_of, short_name, title_of
from ..pictures.photos import Frame

NO_BOXES = np.zeros((0, 4), np.int32)


@dataclass(frozen=True, eq=False)
class Decision:
    """What was explained, what the network answered, and which pixels made it.

    Attributes:
        image: Which row of `x` it is about.
        target: The explained unit of the output, row-major; -1 for a mask of units. Of one unit
            that ends in a sigmoid 0 is no and 1 is yes.
        target_name: What that is called, as `short_name` says.
        score: The output there, or its mean over the mask.
        side: +1 where it is asked why the explained unit is high, -1 why it is low.
        versus: The foil, the unit it is contrasted with; None where there is none.
        versus_name: What that is called.
        logits: Of target and foil, the values before the output's activation; None without a foil.
        lost: The mass of paths that ended before they reached the input.
        input_mass: How much ended in each of the model's inputs.
        pixels: (P, 2) int32 rows (row, column), the important pixels, unique and sorted.
        mass: (P,) float32, how much of the decision ended in each.
        boxes: (B, 4) int32 rows (top, left, bottom, right), half open; none where the input is no
            picture.
        cells: (h, w) float32, the mass in each cell of the fine layer, that attention and boxes are
            of; the network's input split evenly. None where they are of the pixels.
        label: What the decision is called, as `label_of` says.
    """

    image: int
    target: int
    target_name: str
    score: float
    side: int
    versus: int | None
    versus_name: str | None
    logits: tuple[float, float] | None
    lost: float
    input_mass: tuple[float, ...]
    pixels: np.ndarray
    mass: np.ndarray
    boxes: np.ndarray
    cells: np.ndarray | None
    label: str

    @property
    def title(self) -> str:
        """What stands over its figure."""
        return title_of(self.label, self.score, self.logits)

    def attention(self, size: tuple[int, int], sigma: float) -> np.ndarray:
        """`Explanation.attention` of it: (height, width) float32 in [0, 1].

        Args:
            size: Height and width of the network's input, in which `pixels` must be.
            sigma: Of the Gaussian, in pixels of it.
        """
        if self.cells is None:
            return heatmaps.attention(self.pixels, self.mass, *size, sigma)
        return heatmaps.attention_of_grid(self.cells, *size, sigma)

    def record(self) -> dict[str, Any]:
        """All of it in plain values, for JSON."""
        arrays = {
            "pixels": self.pixels.tolist(),
            "mass": _rounded(self.mass),
            "boxes": self.boxes.tolist(),
            "cells": None if self.cells is None else [_rounded(row) for row in self.cells],
        }
        return {**vars(self), **arrays}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Decision":
        """Reads what `record` gives of a decision about a picture, or such a row of a table.

        Args:
            record: The fields by name; those that older files lack may be missing.
        """
        logits, cells, side = (record.get(name) for name in ("logits", "cells", "side"))
        target_name, versus_name = record["target_name"], record.get("versus_name")
        return cls(
            image=int(record.get("image", 0)),
            target=int(record["target"]),
            target_name=target_name,
            score=float(record["score"]),
            side=1 if side is None else int(side),
            versus=record.get("versus"),
            versus_name=versus_name,
            logits=None if logits is None else tuple(logits),
            lost=float(record["lost"]),
            input_mass=tuple(record.get("input_mass") or ()),
            pixels=np.reshape(record["pixels"], (-1, 2)).astype(np.int32),
            mass=np.array(record["mass"], np.float32),
            boxes=np.reshape(record.get("boxes") or NO_BOXES, (-1, 4)).astype(np.int32),
            cells=None if cells is None else np.array(cells, np.float32),
            label=record.get("label") or label_of(target_name, versus_name),
        )


def _rounded(masses: np.ndarray) -> list[float]:
    return [round(float(mass), 7) for mass in masses]


class Decisions(NamedTuple):
    """What was asked and answered, one row for each decision: attributes of `Explanation`."""

    targets: np.ndarray
    versus: np.ndarray
    scores: np.ndarray
    sides: np.ndarray
    logits: np.ndarray
    lost: np.ndarray
    image_index: np.ndarray

    def names(self, labels: Sequence[str] | None, meaning: str) -> list[tuple[str, str | None]]:
        """What target and foil of each are called; None where there is no foil.

        Args:
            labels: Names of the classes, or None.
            meaning: What targets stand for, as `short_name` takes it.
        """

        def name(number: int) -> str:
            return short_name(int(number), labels, meaning)

        pairs = zip(self.targets, self.versus, strict=True)
        return [(name(target), name(foil) if foil >= 0 else None) for target, foil in pairs]

    def called(self, labels: Sequence[str] | None, meaning: str) -> list[str]:
        """What each is called; the arguments are those of `names`."""
        # The names of a single unit's sides say which it is.
        is_low = (self.sides < 0) & (meaning != "side")
        named = zip(self.names(labels, meaning), is_low, strict=True)
        return [label_of(*names, low) for names, low in named]

    def titles(self, labels: Sequence[str] | None, meaning: str) -> list[str]:
        """What stands over each one's figure; the arguments are those of `names`."""
        called = self.called(labels, meaning)
        rows = zip(called, self.scores, self.versus, self.logits, strict=True)
        return [title_of(text, s, pair if foil >= 0 else None) for text, s, foil, pair in rows]

    def leads(self, labels: Sequence[str] | None, meaning: str) -> list[str]:
        """What stands over the difference of each one's classes; the arguments are those of
        `names`."""
        pairs = zip(self.names(labels, meaning), self.logits, strict=True)
        return [lead_of(*names, *logits) for names, logits in pairs]

    def records(
        self,
        labels: Sequence[str] | None,
        meaning: str,
        input_mass: np.ndarray,
        points: Sequence[tuple[np.ndarray, np.ndarray]],
        boxes: Sequence[np.ndarray],
        cells: Sequence[np.ndarray | None],
        frames: Sequence[Frame] | None = None,
    ) -> list[Decision]:
        """Each as a `Decision`.

        Args:
            labels, meaning: As for `names`.
            input_mass: (N, inputs) float32.
            points: For each its pixels and their mass.
            boxes: For each (B, 4) int32.
            cells: For each the mass in the cells of the fine layer, or None.
            frames: For each the part of a photo that the network saw, to have pixels and boxes in
                the photo's coordinates; None for those of the network's input.
        """
        found, called = [], self.called(labels, meaning)
        for i, (target_name, versus_name) in enumerate(self.names(labels, meaning)):
            (pixels, mass), own_boxes = points[i], boxes[i]
            if frames is not None:
                pixels, mass = frames[i].in_photo(pixels, mass)
                own_boxes = frames[i].boxes(own_boxes)
            has_foil = versus_name is not None
            found.append(
                Decision(
                    image=int(self.image_index[i]),
                    target=int(self.targets[i]),
                    target_name=target_name,
                    score=float(self.scores[i]),
                    side=int(self.sides[i]),
                    versus=int(self.versus[i]) if has_foil else None,
                    versus_name=versus_name,
                    logits=tuple(self.logits[i].tolist()) if has_foil else None,
                    lost=float(self.lost[i]),
                    input_mass=tuple(input_mass[i].tolist()),
                    pixels=pixels,
                    mass=mass,
                    boxes=own_boxes,
                    cells=cells[i],
                    label=called[i],
                )
            )
        return found
