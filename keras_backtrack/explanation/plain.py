"""An explanation as plain values and arrays: what its copies and files are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..propagation.nodes import Nodes
from .decisions import Decisions
from .images import Images, of_rows
from .layer_nodes import HeldNodes, Part
from .network import Network
from .source import Source

VERSION = 1


@dataclass(frozen=True, eq=False)
class Plain:
    """Some decisions, with no more than what they are about.

    Attributes:
        about: Texts and numbers, which JSON can hold: those of `Source`; `input`, the input that
            pixels are about; `shapes` of all tensors by name, and how many `inputs` come first;
            `words` by name of the input and number of the row; `version`.
        asked: Attributes of `Explanation`, a row for each decision.
        nodes: By layer name in `count` how many nodes each decision held there, and one behind
            another their `unit`, `sign` and `mass`.
        ended: By layer name the mass of each decision that ended there.
        images: Those that decisions are about, of each input; None where there are none.
    """

    about: Mapping[str, Any]
    asked: Decisions
    nodes: Mapping[str, Mapping[str, np.ndarray]]
    ended: Mapping[str, np.ndarray]
    images: list[Images] | None = None

    @classmethod
    def of(cls, asked: Decisions, source: Source, rows: np.ndarray, name: str) -> "Plain":
        """Of what an explanation is made of."""
        held = source.layers.of_rows(rows)
        about = {
            "version": VERSION,
            **{field: getattr(source, field) for field in _TOLD},
            "input": name,
            "inputs": len(held.inputs),
            "shapes": {name: list(shape) for name, shape in held.shapes.items()},
            # JSON has no numbers for keys.
            "words": {
                name: {str(row): list(words[row]) for row in np.unique(asked.image_index)}
                for name, words in source.words.items()
            },
        }
        part = held.single()
        nodes = {name: _counted(own, held, name, len(rows)) for name, own in part.nodes.items()}
        images = None
        if source.images is not None:
            numbers = np.unique(asked.image_index)
            images = [of_rows(values, numbers) for values in source.images]
        return cls(about, asked, nodes, part.ended, images)

    def taken_in(self, network: Network | None) -> tuple[Decisions, Source, np.ndarray, str]:
        """What an explanation is made of, with a network to run again or with none."""
        about, count = self.about, len(self.asked.targets)
        shapes = {name: tuple(shape) for name, shape in about["shapes"].items()}
        nodes = {}
        for name, held in self.nodes.items():
            first = np.repeat(np.arange(count), held["count"]) * int(np.prod(shapes[name]))
            nodes[name] = Nodes(first + held["unit"], np.float32(held["sign"]), held["mass"])
        layers = HeldNodes([Part(count, nodes, dict(self.ended))], shapes, about["inputs"])
        told = {field: about[field] for field in _TOLD}
        if told["labels"] is not None:
            told["labels"] = tuple(told["labels"])
        words = {
            name: {int(row): own for row, own in rows.items()}
            for name, rows in about.get("words", {}).items()
        }
        source = Source(layers, self.images, **told, network=network, words=words)
        return self.asked, source, np.arange(count), about["input"]


_NOT_TOLD = "layers", "images", "network", "words"
_TOLD = [f.name for f in fields(Source) if f.name not in _NOT_TOLD]


def _counted(nodes: Nodes, held: HeldNodes, name: str, decisions: int) -> dict[str, np.ndarray]:
    owner, unit = np.divmod(nodes.index, int(np.prod(held.shapes[name])))
    count = np.bincount(owner, minlength=decisions)
    sign = np.asarray(nodes.sign, np.int8)
    return {"count": count, "unit": unit, "sign": sign, "mass": np.asarray(nodes.mass)}
