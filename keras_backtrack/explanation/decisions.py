"""A decision as a record: what every file, table and page says of it, under the same names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..pictures.class_names import label_of, short_name, title_of
from ..pictures.photos import Frame

NO_BOXES = np.zeros((0, 4), np.int32)


@dataclass(frozen=True, eq=False)
class Decision:
    """What was explained, what the network answered, and which pixels made it.

    Attributes:
        image: Which row of `x` it is about.
        target: The explained unit of the output, row-major; -1 for a mask of units.
        target_name: What that is called, as `short_name` says.
        score: The output there, or its mean over the mask.
        side: +1 where it is asked why the target is high, -1 why it is low.
        versus: The foil, the unit it is contrasted with; None where there is none.
        versus_name: What that is called.
        logits: Of target and foil, the values before the output's activation; None without a foil.
        lost: The mass of paths that ended before they reached the input.
        input_mass: How much ended in each of the model's inputs.
        pixels: (P, 2) int32 rows (row, column), the important pixels, unique and sorted.
        mass: (P,) float32, how much of the decision ended in each.
        boxes: (B, 4) int32 rows (top, left, bottom, right), half open; none where the input is no
            picture.
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

    @property
    def label(self) -> str:
        """What the decision is called."""
        return label_of(self.target_name, self.versus_name)

    @property
    def title(self) -> str:
        """What stands over its figure."""
        return title_of(self.target_name, self.versus_name, self.score, self.logits)

    def record(self) -> dict[str, Any]:
        """All of it in plain values, for JSON."""
        arrays = {
            "pixels": self.pixels.tolist(),
            "mass": [round(float(mass), 7) for mass in self.mass],
            "boxes": self.boxes.tolist(),
        }
        return {**vars(self), **arrays}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Decision":
        """Reads what `record` gives of a decision about a picture, or such a row of a table.

        Args:
            record: The fields by name; those that older files lack may be missing.
        """
        logits = record.get("logits")
        return cls(
            image=int(record.get("image", 0)),
            target=int(record["target"]),
            target_name=record["target_name"],
            score=float(record["score"]),
            side=int(record.get("side", 1)),
            versus=record.get("versus"),
            versus_name=record.get("versus_name"),
            logits=None if logits is None else tuple(logits),
            lost=float(record["lost"]),
            input_mass=tuple(record.get("input_mass") or ()),
            pixels=np.reshape(record["pixels"], (-1, 2)).astype(np.int32),
            mass=np.array(record["mass"], np.float32),
            boxes=np.reshape(record.get("boxes") or NO_BOXES, (-1, 4)).astype(np.int32),
        )


class Decisions(NamedTuple):
    """What was asked and answered, one row for each decision: attributes of `Explanation`."""

    targets: np.ndarray
    versus: np.ndarray
    scores: np.ndarray
    sides: np.ndarray
    logits: np.ndarray
    lost: np.ndarray
    image_index: np.ndarray

    def names(self, labels: Sequence[str] | None) -> list[tuple[str, str | None]]:
        """What target and foil of each are called; None where there is no foil."""
        return [
            (short_name(int(target), labels), None if foil < 0 else short_name(int(foil), labels))
            for target, foil in zip(self.targets, self.versus, strict=True)
        ]

    def titles(self, labels: Sequence[str] | None) -> list[str]:
        """What stands over each one's figure."""
        named = zip(self.names(labels), self.scores, self.logits, strict=True)
        return [title_of(*names, score, logits) for names, score, logits in named]

    def records(
        self,
        labels: Sequence[str] | None,
        input_mass: np.ndarray,
        points: Sequence[tuple[np.ndarray, np.ndarray]],
        boxes: Sequence[np.ndarray],
        frames: Sequence[Frame] | None = None,
    ) -> list[Decision]:
        """Each as a `Decision`.

        Args:
            labels: Names of the classes, or None.
            input_mass: (N, inputs) float32.
            points: For each its pixels and their mass.
            boxes: For each (B, 4) int32.
            frames: For each the part of a photo that the network saw, to have pixels and boxes in
                the photo's coordinates; None for those of the network's input.
        """
        found = []
        for i, (target_name, versus_name) in enumerate(self.names(labels)):
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
                )
            )
        return found
