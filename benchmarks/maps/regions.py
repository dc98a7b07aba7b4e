"""Regions from mass: of the pixels or of a layer, as they are or refined; and after a blur.

The protocol: pictures are dealt into five folds. For each fold the setting (σ and threshold; for
the last row also layer and refinement) is that with the best mean IoU on all other folds.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_backtrack import BacktrackExplainer, metrics
from keras_backtrack.pictures.refine import REFINEMENTS

from .masked_photos import Pairs
from .scoring import folds_of, interval
from .subject import Subject

# Standard deviations in shares of the longer side: as it is, refined.
SIGMAS = {
    "posterior": ((0.01, 0.02, 0.03, 0.045), (0.01, 0.03)),
    "viterbi": ((0.045, 0.07, 0.1, 0.14, 0.18), (0.07,)),
}
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
    rows, scored = [], {}
    for method in SIGMAS:
        explainer = BacktrackExplainer(subject.model, method=method, layers=layers)

        def maps_of(
            pictures: np.ndarray, settings: list[Setting], by=explainer
        ) -> list[np.ndarray]:
            return _maps(by, subject, pictures, targets, settings)

        found, best = [], []
        groups = list(_rows(method, layers if method == "posterior" else ()))
        maps = iter(maps_of(photos, [setting for group in groups for setting in group]))
        for group in groups:
            own = {setting: _scores(next(maps), pairs.masks) for setting in group}
            scored |= own
            name = f"{method}, {group[0].layer or 'pixels'}, {group[0].refine or 'as it is'}"
            found.append(_row(name, own, folds))
            best.append(Setting(**{k: found[-1]["usual"][k] for k in Setting._fields}))
        if blurred:
            soft = metrics.blur(BLUR).apply(photos)
            pairs_of_maps = zip(maps_of(photos, best), maps_of(soft, best), strict=True)
            for row, both in zip(found, pairs_of_maps, strict=True):
                regions = (maps >= row["usual"]["threshold"] for maps in both)
                row["blurred_iou"] = float(metrics.iou(*regions))
        for row in found:
            say(line(row))
        rows += found
    ours = {s: values for s, values in scored.items() if s.method == "posterior"}
    rows.append(_row(f"posterior, {CHOSEN}", ours, folds))
    say(line(rows[-1]))
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


def _rows(method: str, layers: Sequence[str]) -> Iterator[list[Setting]]:
    plain, refined = SIGMAS[method]
    for layer in (None, *layers):
        for refine in (None, *REFINEMENTS):
            yield [Setting(method, layer, refine, s) for s in (refined if refine else plain)]


def _maps(
    explainer: BacktrackExplainer,
    subject: Subject,
    photos: np.ndarray,
    targets: np.ndarray,
    settings: Sequence[Setting],
) -> list[np.ndarray]:
    """Maps of all photos for each setting; few photos at once, since explanations hold a lot."""
    size = max(photos.shape[1:3])
    found = [np.empty(photos.shape[:3], np.float32) for _ in settings]
    for part in (slice(start, start + 8) for start in range(0, len(photos), 8)):
        e = explainer.explain(subject.prepared(photos[part]), targets[part])
        for maps, s in zip(found, settings, strict=True):
            maps[part] = e.attention(
                s.sigma * size, layer=s.layer, refine=s.refine, images=photos[part]
            )
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
