"""How alike two maps of one image are."""

from typing import Any

import numpy as np
from scipy import stats

from ._checks import as_maps, averaged, check_alike


def rank_correlation(maps: Any, others: Any, average: str | None = "images") -> Any:
    """Spearman's rank correlation over the pixels, in [-1, 1]; 0 where a map is constant.

    Args:
        maps, others: (N, H, W) or (H, W) numbers.
        average: `"images"` for the mean, None for the (N,) values.

    Returns:
        A float, or (N,) float64.

    Raises:
        TypeError: If there are no numbers in it.
        ValueError: If shapes differ or a value is not finite.
    """
    maps, others = as_maps("maps", maps), as_maps("others", others)
    check_alike("maps", maps, "others", others)
    values = [
        stats.spearmanr(a, b, axis=None).statistic if np.ptp(a) and np.ptp(b) else 0.0
        for a, b in zip(maps, others, strict=True)
    ]
    return averaged(np.array(values), average)


def ssim(maps: Any, others: Any, average: str | None = "images") -> Any:
    """Structural similarity of maps that are each stretched to [0, 1], in [-1, 1].

    Wang et al., *Image quality assessment: from error visibility to structural similarity*, 2004,
    in windows of 7 × 7 pixels, as scikit-image has it (extra `metrics`). The stretching is that of
    Adebayo et al., *Sanity checks for saliency maps*, NeurIPS 2018; a constant map becomes 0.

    Args:
        maps, others: (N, H, W) or (H, W) numbers, H and W at least 7.
        average: `"images"` for the mean, None for the (N,) values.

    Returns, Raises: As `rank_correlation`; ImportError without scikit-image.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise ImportError(
            "`ssim` needs scikit-image: pip install keras-backtrack[metrics]."
        ) from error
    maps, others = as_maps("maps", maps), as_maps("others", others)
    check_alike("maps", maps, "others", others)
    if min(maps.shape[1:]) < 7:
        raise ValueError(f"`ssim` needs maps of at least 7 × 7. Received: shape {maps.shape}.")
    values = [
        structural_similarity(_stretched(a), _stretched(b), data_range=1.0)
        for a, b in zip(maps, others, strict=True)
    ]
    return averaged(np.array(values), average)


def class_discrimination(maps: Any, others: Any, average: str | None = "images") -> Any:
    """How much a map changes with the class that it is asked about: 1 − rank correlation.

    0 where it does not depend on the class at all, 1 where the two maps have nothing to do with
    each other. After Li et al., *Quantitative evaluations on saliency methods*, 2020 (class
    sensitivity), who compare the likeliest class with the unlikeliest.

    Args:
        maps: (N, H, W) or (H, W), of one class in each image, such as the predicted one.
        others: Of the same images and another class.
        average: `"images"` for the mean, None for the (N,) values.

    Returns, Raises: As `rank_correlation`.
    """
    return 1 - rank_correlation(maps, others, average)


def _stretched(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / (np.ptp(values) or 1)
