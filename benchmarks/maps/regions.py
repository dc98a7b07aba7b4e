"""Regions from maps: of the pixels or of a layer, as they are or refined; and after a blur.

The protocol: pictures are dealt into five folds. For each fold the setting (σ and threshold; in
the last row of each method also layer and refinement) is that with the best mean IoU on all other
folds. LayerCAM and the controls are given the same choices as ours.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from keras_backtrack import BacktrackExplainer, metrics
from keras_backtrack.pictures.refine import REFINEMENTS, Surfaces

from .cams import layercam
from .controls import COLOUR, CONTROLS, GAUSSIAN
from .masked_photos import Pairs
from .ours import SETTINGS
from .scoring import folds_of, interval, smooth
from .subject import Subject

_CELLS_SIGMAS = (0.01, 0.015, 0.02, 0.03, 0.045)
_WIDE = (0.045, 0.07, 0.1, 0.14, 0.18)
_REFINED = (0.01, 0.03)
# Standard deviations in shares of the longer side: as it is, refined.
SIGMAS = {
    # Its pixels are few.
    "backtrack": ((*_CELLS_SIGMAS, 0.07), (*_REFINED, 0.07)),
    "posterior": (_CELLS_SIGMAS, _REFINED),
    "posterior, contrast": (_CELLS_SIGMAS, _REFINED),
    "viterbi (the paper's)": (_WIDE, (0.07,)),
    "LayerCAM": (_CELLS_SIGMAS, _REFINED),
    GAUSSIAN: ((0.0,), (0.0,)),
    COLOUR: ((0.0, *_CELLS_SIGMAS), (0.0, *_REFINED)),
}
# Methods that the mass of layers is tried of.
_AT_LAYERS = ("backtrack", "posterior", "posterior, contrast", "LayerCAM")
THRESHOLDS = np.linspace(0.04, 0.8, 39)
BLUR = 2.0  # pixels
LAYERS = {
    "efficientnet-lite0": ("block4_add", "block10_add"),
    "vgg16-caltech101": ("block3_pool", "block4_pool"),
    "squeezenet": ("fire4_concat", "fire8_concat"),
}
CHOSEN = "layer and refinement chosen, too"


class Setting(NamedTuple):
    """What makes a map: the method, the layer (None for the pixels), refinement, σ."""

    method: str
    layer: str | None
    refine: str | None
    sigma: float


def measure(
    subject: Subject,
    pairs: Pairs,
    layers: Sequence[str],
    blurred: bool = True,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> list[dict]:
    """Scores all settings on pictures with masks.

    Args:
        subject: The network.
        pairs: The pictures and masks.
        layers: Whose mass to try besides the pixels'.
        blurred: Whether to explain the blurred pictures as well.
        seed: Of the folds.
        say: Told of each row that is done.

    Returns:
        A row for each method, layer and refinement: mean IoU and F1 with 95 % intervals, the
        settings of the folds, and the IoU of regions before and after the blur.
    """
    photos = pairs.photos
    targets = subject.predict(subject.prepared(photos)).argmax(axis=1)
    folds = folds_of(len(photos), seed)
    tried = list(dict.fromkeys([subject.fine_layer, *layers]))
    rows = []
    for method in SIGMAS:
        maps_of = _maker(subject, method, tried)
        found, scored = [], {}
        for group in _rows(method, tried if method in _AT_LAYERS else ()):
            maps = maps_of(photos, targets, group)
            own = {s: _scores(m, pairs.masks) for s, m in zip(group, maps, strict=True)}
            scored |= own
            name = f"{method}, {group[0].layer or 'pixels'}, {group[0].refine or 'as it is'}"
            found.append(_row(name, own, folds))
        if blurred:
            best = [Setting(**{k: r["usual"][k] for k in Setting._fields}) for r in found]
            soft = metrics.blur(BLUR).apply(photos)
            pairs_of_maps = (maps_of(pictures, targets, best) for pictures in (photos, soft))
            for row, both in zip(found, zip(*pairs_of_maps, strict=True), strict=True):
                regions = (maps >= row["usual"]["threshold"] for maps in both)
                row["blurred_iou"] = float(metrics.iou(*regions))
        rows += [*found, _row(f"{method}, {CHOSEN}", scored, folds)]
        for row in rows[-len(found) - 1 :]:
            say(line(row))
    return rows


HEADER = f"{'mass':52}  IoU [95 %]            F1     σ      threshold  blurred: IoU with before"


def line(row: dict) -> str:
    """A row as text."""
    low, high = row["iou_95"]
    after = f"{row['blurred_iou']:.3f}" if "blurred_iou" in row else ""
    return (
        f"{row['name']:52}  {row['iou']:.3f} [{low:.3f}, {high:.3f}]  {row['f1']:.3f}  "
        f"{row['usual']['sigma']:.3f}  {row['usual']['threshold']:.2f}       {after}"
    )


def _rows(method: str, layers: Sequence[str | None]) -> Iterator[list[Setting]]:
    plain, refined = SIGMAS[method]
    for layer in dict.fromkeys((None, *layers)):
        for refine in (None, *REFINEMENTS):
            yield [Setting(method, layer, refine, s) for s in (refined if refine else plain)]


# Takes photos, targets and settings to the maps of all photos for each setting.
_Maker = Callable[[np.ndarray, np.ndarray, Sequence[Setting]], list[np.ndarray]]


def _maker(subject: Subject, method: str, layers: Sequence[str | None]) -> _Maker:
    """What makes a method's maps; few at once of ours, since explanations hold a lot."""
    if method not in SETTINGS:
        return partial(_of_peer, subject, method)
    wanted = [name for name in layers if name is not None]
    settings = SETTINGS[method]
    explainer = BacktrackExplainer(
        subject.whole, layers=wanted if method in _AT_LAYERS else None, **settings
    )

    def make(photos: np.ndarray, targets: np.ndarray, settings: Sequence[Setting]):
        size = max(photos.shape[1:3])
        found = [np.empty(photos.shape[:3], np.float32) for _ in settings]
        for part in (slice(start, start + 8) for start in range(0, len(photos), 8)):
            e = explainer.explain(subject.prepared(photos[part]), targets[part])
            for maps, s in zip(found, settings, strict=True):
                layer = s.layer or e.input
                maps[part] = e.attention(
                    s.sigma * size,
                    layer=layer,
                    refine=s.refine,
                    images=photos[part] if s.refine else None,
                )
        return found

    return make


def _of_peer(
    subject: Subject,
    method: str,
    photos: np.ndarray,
    targets: np.ndarray,
    settings: Sequence[Setting],
) -> list[np.ndarray]:
    """The same of LayerCAM and of controls, smoothed and refined in the same ways."""
    raw: dict[str | None, np.ndarray] = {}
    found = []
    for s in settings:
        if s.layer not in raw:
            contender = CONTROLS[method] if method in CONTROLS else layercam(s.layer)
            raw[s.layer] = contender(subject)(subject.prepared(photos), targets)
        maps = smooth(raw[s.layer], s.sigma)
        if s.refine is not None:
            pairs = zip(photos, maps, strict=True)
            maps = np.stack([Surfaces(photo).refine(m, s.refine) for photo, m in pairs])
        found.append(maps)
    return found


def _scores(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """IoU and F1 of each picture at each threshold: (2, N, thresholds)."""
    return np.stack(
        [
            [metric(maps >= t, masks, average=None) for t in THRESHOLDS]
            for metric in (metrics.iou, metrics.f1)
        ]
    ).transpose(0, 2, 1)


def _row(name: str, scored: dict[Setting, np.ndarray], folds: np.ndarray) -> dict:
    """Cross-validates; `usual` is what is best on all pictures."""
    settings = list(scored)
    values = np.stack(list(scored.values()), axis=2)  # 2, N, settings, thresholds

    def best(pictures: np.ndarray) -> tuple[int, int]:
        means = values[0, pictures].mean(axis=0)
        return np.unravel_index(means.argmax(), means.shape)

    found, chosen = np.empty((2, len(folds))), []
    for fold in range(folds.max() + 1):
        place, at = best(folds != fold)
        found[:, folds == fold] = values[:, folds == fold, place, at]
        chosen.append({**settings[place]._asdict(), "threshold": float(THRESHOLDS[at])})
    place, at = best(folds >= 0)
    return {
        "name": name,
        "iou": float(found[0].mean()),
        "iou_95": interval(found[0]),
        "f1": float(found[1].mean()),
        "f1_95": interval(found[1]),
        "usual": {**settings[place]._asdict(), "threshold": float(THRESHOLDS[at])},
        "folds": chosen,
    }
