"""From maps to regions whose width and threshold are chosen on other pictures, and their scores.

The protocol: pictures are dealt into folds at random. For each fold σ (of the Gaussian over the
map) and the threshold (a share of the smoothed map's maximum) are those with the best mean IoU on
all other folds, and for the pointing game σ is that with the most hits there. Where maps are
refined at the picture's edges, regions are cut from the result; the pointing game is of the maps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from keras_backtrack import metrics
from keras_backtrack.pictures.refine import Surfaces

# Of the longer side; 0.07 is the default of `Explanation.attention`.
SIGMAS = (0.0, 0.01, 0.02, 0.03, 0.045, 0.07, 0.1, 0.15)
REFINED_SIGMAS = (0.0, 0.01, 0.03, 0.07)
LEVELS = 128  # thresholds are 1/128, 2/128, ...
FOLDS = 5
# 15 pixels of a photo of 500 pixels (Zhang et al., 2016).
TOLERANCE = 0.03


class Scored(NamedTuple):
    """What a method's maps came to.

    Attributes:
        values: (N,) float64 of each metric, by name.
        pooled_iou: Over all pixels of all pictures.
        regions: (N, h, w) bool.
        smoothed: (N, h, w) float32 in [0, 1], the maps that the regions were cut from, refined
            where they were.
        settings: For each fold the chosen σ in shares of the longer side, the threshold, and the σ
            of the pointing game.
    """

    values: dict[str, np.ndarray]
    pooled_iou: float
    regions: np.ndarray
    smoothed: np.ndarray
    settings: list[dict[str, float]]


def folds_of(count: int, seed: int = 0, folds: int = FOLDS) -> np.ndarray:
    """Deals pictures into folds: (count,) int."""
    order = np.random.default_rng(seed).permutation(count)
    folds_of_pictures = np.empty(count, int)
    folds_of_pictures[order] = np.arange(count) % min(folds, count)
    return folds_of_pictures


def smooth(maps: np.ndarray, sigma: float) -> np.ndarray:
    """Maps under a Gaussian, each scaled to a maximum of 1.

    Args:
        maps: (N, h, w), at least 0.
        sigma: In shares of the longer side; 0 leaves them as they are.
    """
    pixels = sigma * max(maps.shape[1:])
    if pixels:
        maps = ndimage.gaussian_filter(maps, (0, pixels, pixels), mode="constant")
    largest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)


class Refinement(NamedTuple):
    """A way to refine maps, and the pictures they are refined on.

    Attributes:
        kind: One of `keras_backtrack.pictures.refine.REFINEMENTS`.
        surfaces: Of each picture.
    """

    kind: str
    surfaces: Sequence[Surfaces]

    def of(self, smoothed: np.ndarray) -> np.ndarray:
        """The maps of all pictures, (N, h, w), refined."""
        pairs = zip(self.surfaces, smoothed, strict=True)
        return np.stack([surfaces.refine(values, self.kind) for surfaces, values in pairs])


def score(
    maps: np.ndarray, masks: np.ndarray, folds: np.ndarray, refinement: Refinement | None = None
) -> Scored:
    """Scores a method's maps by cross-validation.

    Args:
        maps: (N, h, w) float32, at least 0.
        masks: (N, h, w) bool.
        folds: (N,) int, from `folds_of`.
        refinement: Refines the smoothed maps before regions are cut.
    """
    # Dilated once; a maximum that is near enough lies in it.
    tolerance = TOLERANCE * max(masks.shape[1:])
    dilated = np.stack([ndimage.distance_transform_edt(~mask) <= tolerance for mask in masks])
    hits, near = np.empty((2, len(SIGMAS), len(maps)))
    for i, sigma in enumerate(SIGMAS):
        smoothed = smooth(maps, sigma)
        hits[i] = metrics.pointing_game(smoothed, masks, average=None)
        near[i] = metrics.pointing_game(smoothed, dilated, average=None)
    sigmas = SIGMAS if refinement is None else REFINED_SIGMAS
    ready = [smooth(maps, sigma) for sigma in sigmas]
    if refinement is not None:
        ready = [refinement.of(smoothed) for smoothed in ready]
    ious = np.stack([_ious(values, masks) for values in ready])
    regions, chosen = np.empty(masks.shape, bool), np.empty(masks.shape, np.float32)
    pointing, pointing_near = np.empty((2, len(maps)))
    settings = []
    for fold in range(folds.max() + 1):
        held, others = folds == fold, folds != fold
        place, level = np.unravel_index(ious[:, others].mean(axis=1).argmax(), ious.shape[::2])
        threshold = (level + 1) / LEVELS
        chosen[held] = ready[place][held]
        regions[held] = chosen[held] >= threshold
        width = hits[:, others].mean(axis=1).argmax()
        pointing[held], pointing_near[held] = hits[width, held], near[width, held]
        settings.append({"sigma": sigmas[place], "threshold": threshold, "pointing": SIGMAS[width]})
    values = {
        name: getattr(metrics, name)(regions, masks, average=None)
        for name in ("precision", "recall", "f1", "f_beta", "iou", "pixel_accuracy")
    }
    values["mae"] = metrics.mae(chosen, masks, average=None)
    values["pointing"], values["pointing_near"] = pointing, pointing_near
    values["mass_inside"] = metrics.mass_inside(maps, masks, average=None)
    values["sparsity"] = metrics.sparsity(maps, average=None)
    pooled = metrics.iou(regions, masks, average="pooled")
    return Scored(values, pooled, regions, chosen, settings)


def usual(settings: Sequence[dict[str, float]]) -> tuple[float, float]:
    """The medians of the folds' σ and threshold, for other pictures than those they are from."""
    return tuple(float(np.median([s[k] for s in settings])) for k in ("sigma", "threshold"))


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Bootstrap 95 % interval of the mean, over pictures (percentiles of 5,000 resamples)."""
    drawn = np.random.default_rng(seed).integers(0, len(values), (5000, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _ious(smoothed: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """IoU of each picture at each threshold from one histogram: (N, LEVELS - 1)."""
    result = np.empty((len(masks), LEVELS - 1))
    levels = np.minimum((smoothed * LEVELS).astype(np.int64), LEVELS - 1)
    for i, (level, mask) in enumerate(zip(levels, masks, strict=True)):
        region = np.bincount(level.ravel(), minlength=LEVELS)
        both = np.bincount(level[mask], minlength=LEVELS)
        region, both = (n[::-1].cumsum()[::-1][1:] for n in (region, both))
        result[i] = both / (region + mask.sum() - both)
    return result
