"""Whether maps lie on the evidence that was planted."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from scipy import ndimage

from keras_backtrack import metrics

from ..contenders import Contender
from ..saliency import describe
from ..scoring import interval
from ..subject import Subject
from .networks import trained
from .scenes import KINDS, Scenes, make

TOLERANCE = 2.0  # pixels, half a cell of the last map


def right_scenes(subject: Subject, kind: str, count: int, seed: int = 1000) -> tuple[Scenes, float]:
    """New scenes, those left out that the network is wrong about, and the share it is right about.

    Args:
        subject: The network.
        kind: One of `KINDS`.
        count: How many scenes to draw.
        seed: Of the scenes; not one that networks are trained on.
    """
    drawn = make(kind, count, seed)
    right = subject.predict(subject.prepared(drawn.pictures)).argmax(axis=1) == drawn.classes
    return Scenes(*(values[right] for values in drawn)), float(right.mean())


def near(evidence: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Where the evidence is, or no further from it than the tolerance: (N, h, w) bool."""
    return np.stack(
        [ndimage.distance_transform_edt(~m) <= tolerance if m.any() else m for m in evidence]
    )


def scores(maps: np.ndarray, evidence: np.ndarray) -> dict[str, np.ndarray]:
    """Of each map whether its heaviest place is on the evidence, within the tolerance and without,
    the share of its mass that is, and whether it is empty.

    Args:
        maps: (N, h, w), at least 0.
        evidence: (N, h, w) bool.
    """
    around = near(evidence)
    is_empty = maps.max(axis=(1, 2)) <= 0
    # An empty map points nowhere, though all of its pixels share the maximum.
    hits, strict = (
        np.where(is_empty, 0, metrics.pointing_game(maps, masks, average=None))
        for masks in (around, evidence)
    )
    return {
        "heaviest": hits,
        "heaviest, strict": strict,
        "mass": metrics.mass_inside(maps, around, average=None),
        "empty": is_empty.astype(np.float64),
    }


def measure(
    methods: Mapping[str, Contender],
    kinds: Sequence[str] = tuple(KINDS),
    count: int = 150,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> Iterator[dict]:
    """Trains a network on each kind of scenes and explains what it is right about.

    Args:
        methods: By name.
        kinds: Of `KINDS`.
        count: How many scenes of each.
        seed: Of the networks.
        say: Told what did not work.

    Yields:
        For each kind its name, how often its network is right, how much of a scene is evidence,
        and by method the mean `scores`, each with a 95 % interval, over the scenes of the classes
        that are scored; and the means of each class.
    """
    for kind in kinds:
        subject = trained(kind, seed=seed)
        found, accuracy = right_scenes(subject, kind, count)
        row = {
            "kind": kind,
            "evidence": KINDS[kind].evidence,
            "accuracy": accuracy,
            "scenes": len(found.classes),
            "area": float(near(found.evidence[KINDS[kind].is_scored[found.classes]]).mean()),
            "methods": {},
        }
        for name, contender in methods.items():
            try:
                maps = contender(subject)(subject.prepared(found.pictures), found.classes)
            except Exception as error:  # What the others do is worth having.
                row["methods"][name] = {"error": describe(error)}
                say(f"{kind}, {name}: {describe(error)}")
                continue
            row["methods"][name] = _summary(scores(maps, found.evidence), found.classes, kind)
        yield row


def _summary(values: dict[str, np.ndarray], classes: np.ndarray, kind: str) -> dict:
    scored = {name: v[KINDS[kind].is_scored[classes]] for name, v in values.items()}
    return {
        **{name: {"mean": float(v.mean()), "95": interval(v)} for name, v in scored.items()},
        "by class": {
            name: {key: float(v[classes == i].mean()) for key, v in values.items()}
            for i, name in enumerate(KINDS[kind].classes)
            if (classes == i).any()
        },
    }


def table(rows: Sequence[dict]) -> str:
    """How often the heaviest place is on the evidence, and the mass on it, as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row["methods"]))
    head = ["heaviest place · mass on the evidence", *(row["kind"] for row in rows)]
    lines = [head, ["---"] * len(head)]
    lines.append(["*of the scene*", *(f"{row['area']:.2f}" for row in rows)])
    lines += [[name, *(_cell(row["methods"].get(name, {})) for row in rows)] for name in names]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(found: dict) -> str:
    if "heaviest" not in found:
        return "–"
    return f"{found['heaviest']['mean']:.3f} · {found['mass']['mean']:.2f}"
