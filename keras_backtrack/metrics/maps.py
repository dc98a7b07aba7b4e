"""Maps of attention against masks, and on their own."""

from typing import Any

import numpy as np
from scipy import ndimage

from ..checks import arguments
from ._checks import as_maps, as_regions, averaged, check_alike


def pointing_game(
    maps: Any, masks: Any, tolerance: float = 0, average: str | None = "images"
) -> Any:
    """How often the map's maximum lies on the object: hits / images, in [0, 1].

    Zhang et al., *Top-down neural attention by Excitation Backprop*, ECCV 2016, who tolerate 15
    pixels. Where several pixels share the maximum, the image counts for the share of them that
    hits, so that a constant map scores what chance does.

    Args:
        maps: (N, H, W) or (H, W) numbers.
        masks: Of the same shape; bool, or 0 and 1, or 0 and 255.
        tolerance: How far from the mask a maximum still hits, in pixels between centres.
        average: `"images"` for the mean, None for the (N,) values.

    Returns:
        A float, or (N,) float64.

    Raises:
        TypeError: If there are no numbers in it.
        ValueError: If shapes differ, a value is not finite or the tolerance is negative.
    """
    maps, masks = as_maps("maps", maps), as_regions("masks", masks)
    check_alike("maps", maps, "masks", masks)
    tolerance = arguments.number("tolerance", tolerance, least=0, of="pixels")
    hits = []
    for values, mask in zip(maps, masks, strict=True):
        if tolerance and mask.any():
            mask = ndimage.distance_transform_edt(~mask) <= tolerance
        hits.append(mask[values == values.max()].mean())
    return averaged(np.array(hits), average)


def mass_inside(maps: Any, masks: Any, average: str | None = "images") -> Any:
    """Share of the map's sum that lies in the mask, in [0, 1]; 0 for a map of zeros.

    Wang et al., *Score-CAM*, CVPR Workshops 2020, as the energy-based pointing game.

    Args:
        maps: (N, H, W) or (H, W), at least 0.
        masks, average: As for `pointing_game`.

    Returns, Raises: As `pointing_game`.
    """
    maps, masks = as_maps("maps", maps, 0), as_regions("masks", masks)
    check_alike("maps", maps, "masks", masks)
    inside, total = (maps * masks).sum(axis=(1, 2)), maps.sum(axis=(1, 2))
    return averaged(np.divide(inside, total, out=np.zeros(len(maps)), where=total > 0), average)


def mae(maps: Any, masks: Any, average: str | None = "images") -> Any:
    """Mean absolute difference of map and mask, in [0, 1]; 0 is best.

    Perazzi et al., *Saliency filters*, CVPR 2012.

    Args:
        maps: (N, H, W) or (H, W), in [0, 1].
        masks, average: As for `pointing_game`.

    Returns, Raises: As `pointing_game`.
    """
    maps, masks = as_maps("maps", maps, 0, 1), as_regions("masks", masks)
    check_alike("maps", maps, "masks", masks)
    return averaged(np.abs(maps - masks).mean(axis=(1, 2)), average)


def sparsity(maps: Any, average: str | None = "images") -> Any:
    """Gini index of the map's absolute values: 0 where all are equal, 1 − 1/pixels for a point.

    Hurley and Rickard, *Comparing measures of sparsity*, 2009; for explanations Chalasani et al.,
    *Concise explanations of neural networks using adversarial training*, ICML 2020.

    Args:
        maps: (N, H, W) or (H, W) numbers. A map of zeros counts as 0.
        average: `"images"` for the mean, None for the (N,) values.

    Returns, Raises: As `pointing_game`.
    """
    maps = as_maps("maps", maps)
    values = np.sort(np.abs(maps).reshape(len(maps), -1), axis=1)
    count = values.shape[1]
    weights = (2 * np.arange(1, count + 1) - count - 1) / count
    total = values.sum(axis=1)
    gini = np.divide(values @ weights, total, out=np.zeros(len(values)), where=total > 0)
    return averaged(gini, average)
