"""Salient regions against masks that people drew.

All take regions and masks, (N, H, W) or (H, W), bool or 0 and 1 or 0 and 255, and `average`:
`"images"` for the mean of the images' values, `"pooled"` for the value of all images' pixels taken
together, None for the (N,) values. 0/0 counts as 0, as in scikit-learn: the precision of a region
without pixels, the recall of an empty mask.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import arguments
from ._checks import as_regions, averaged, check_alike

BETA_SQUARED = 0.3


def precision(regions: Any, masks: Any, average: str | None = "images") -> Any:
    """Share of the region that lies in the mask, TP / (TP + FP), in [0, 1].

    Args:
        regions: (N, H, W), what a method found.
        masks: (N, H, W), what there is.
        average: `"images"`, `"pooled"` or None.

    Returns:
        A float, or (N,) float64 where `average` is None.

    Raises:
        TypeError: If there are no numbers in it.
        ValueError: If shapes differ, or there are more values than two.
    """
    return _score(lambda c: _ratio(c.both, c.region), regions, masks, average)


def recall(regions: Any, masks: Any, average: str | None = "images") -> Any:
    """Share of the mask that lies in the region, TP / (TP + FN), in [0, 1].

    Args, Returns, Raises: As `precision`.
    """
    return _score(lambda c: _ratio(c.both, c.mask), regions, masks, average)


def f_beta(
    regions: Any, masks: Any, beta_squared: float = BETA_SQUARED, average: str | None = "images"
) -> Any:
    """F-measure, (1 + β²) P R / (β² P + R), in [0, 1].

    β² = 0.3, which weighs precision more, is the custom of salient object detection (Achanta et
    al., *Frequency-tuned salient region detection*, CVPR 2009). With `average="images"` it is the
    mean of each image's F; papers that put the mean precision and recall of a data set into the
    formula get a larger number.

    Args:
        regions, masks, average: As for `precision`.
        beta_squared: β², above 0.

    Returns, Raises: As `precision`.
    """
    beta_squared = arguments.number("beta_squared", beta_squared, above=0)

    def score(c: "_Counts") -> np.ndarray:
        return _ratio((1 + beta_squared) * c.both, beta_squared * c.mask + c.region)

    return _score(score, regions, masks, average)


def f1(regions: Any, masks: Any, average: str | None = "images") -> Any:
    """Harmonic mean of precision and recall: `f_beta` with β² = 1 (the Dice coefficient).

    Args, Returns, Raises: As `precision`.
    """
    return f_beta(regions, masks, 1.0, average)


def iou(regions: Any, masks: Any, average: str | None = "images") -> Any:
    """Intersection over union, TP / (TP + FP + FN), in [0, 1] (the Jaccard index).

    Args, Returns, Raises: As `precision`.
    """
    return _score(lambda c: _ratio(c.both, c.region + c.mask - c.both), regions, masks, average)


def pixel_accuracy(regions: Any, masks: Any, average: str | None = "images") -> Any:
    """Share of pixels where region and mask agree, (TP + TN) / all, in [0, 1].

    Large where masks are small, whatever was found: an empty region has 1 − the mask's share.

    Args, Returns, Raises: As `precision`.
    """
    return _score(
        lambda c: _ratio(c.all - c.region - c.mask + 2 * c.both, c.all), regions, masks, average
    )


class _Counts:
    """Pixels of each image in the region, the mask, both, and at all; (N,) or summed up."""

    def __init__(self, *counts: np.ndarray) -> None:
        self.region, self.mask, self.both, self.all = counts

    def pooled(self) -> "_Counts":
        return _Counts(
            *(c.sum(keepdims=True) for c in (self.region, self.mask, self.both, self.all))
        )


def _score(
    formula: Callable[[_Counts], np.ndarray], regions: Any, masks: Any, average: str | None
) -> Any:
    regions, masks = as_regions("regions", regions), as_regions("masks", masks)
    check_alike("regions", regions, "masks", masks)
    counts = _Counts(
        *(values.sum(axis=(1, 2)) for values in (regions, masks, regions & masks)),
        np.full(len(masks), masks[0].size),
    )
    return averaged(formula(counts), average, float(formula(counts.pooled())[0]))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
