"""Whether the pixels a map is highest at are those that the network needs."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import integrate, ndimage

from ..checks import arguments
from ._checks import as_maps, averaged

Predict = Callable[[np.ndarray], Any]


def deletion(
    predict: Predict,
    images: Any,
    maps: Any,
    targets: Any,
    *,
    baseline: Any = 0.0,
    steps: int = 50,
    batch_size: int = 32,
    seed: int = 0,
    average: str | None = "images",
) -> Any:
    """Area under the target's score while pixels are deleted, the map's highest first.

    Low is good. Petsiuk et al., *RISE: randomized input sampling for explanation of black-box
    models*, BMVC 2018. The score is whatever `predict` answers (they take the soft-max
    probability), the area is over the share of deleted pixels from 0 to 1, by trapezoids.

    Args:
        predict: From (M, H, W, C) images to (M, classes) scores: a model, or a function.
        images: (N, H, W, C), as the model takes them.
        maps: (N, H, W) numbers. Pixels of the same value are taken in random order.
        targets: (N,) ints, the class of each image.
        baseline: What deleted pixels become: a number or an array that broadcasts to `images`.
            0 is their default, the mean colour of most preprocessings.
        steps: In how many equal parts the pixels are deleted.
        batch_size: How many images `predict` gets at once.
        seed: Of the order of pixels with the same value.
        average: `"images"` for the mean, None for the (N,) values.

    Returns:
        A float, or (N,) float64.

    Raises:
        ValueError: If shapes do not fit, a target does not exist or a score is not finite.
    """
    images, maps, targets = _checked(images, maps, targets)
    gone = _baseline(baseline, images)
    areas = _areas(predict, images, gone, maps, targets, steps, batch_size, seed)
    return averaged(areas, average)


def insertion(
    predict: Predict,
    images: Any,
    maps: Any,
    targets: Any,
    *,
    baseline: Any = None,
    steps: int = 50,
    batch_size: int = 32,
    seed: int = 0,
    average: str | None = "images",
) -> Any:
    """Area under the target's score while pixels appear on a baseline, the map's highest first.

    High is good. Petsiuk et al., 2018, as `deletion`.

    Args:
        baseline: What the picture is before: a number or an array that broadcasts to `images`.
            None for their default, the images blurred by a Gaussian of 5 pixels, cut to 11 × 11.
        predict, images, maps, targets, steps, batch_size, seed, average: As for `deletion`.

    Returns, Raises: As `deletion`.
    """
    images, maps, targets = _checked(images, maps, targets)
    if baseline is None:
        baseline = ndimage.gaussian_filter(images, (0, 5, 5, 0), truncate=1)
    start = _baseline(baseline, images)
    areas = _areas(predict, start, images, maps, targets, steps, batch_size, seed)
    return averaged(areas, average)


def _checked(images: Any, maps: Any, targets: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images, targets = arguments.numbers("images", images), arguments.numbers("targets", targets)
    maps = as_maps("maps", maps)
    images = images if images.dtype.kind == "f" else images.astype(np.float32)
    if images.ndim != 4 or images.shape[:3] != maps.shape:
        raise ValueError(
            "`images` must have the shape (images, height, width, channels), and `maps` one value "
            f"for each of their pixels. Received: {images.shape} and {maps.shape}."
        )
    if targets.shape != (len(images),) or targets.dtype.kind not in "iu":
        raise ValueError(
            f"`targets` must be {len(images)} ints, a class for each image. Received: shape "
            f"{targets.shape}, dtype {targets.dtype}."
        )
    return images, maps, targets


def _baseline(values: Any, images: np.ndarray) -> np.ndarray:
    """What pixels become, or are before, for each image."""
    values = arguments.numbers("baseline", values)
    try:
        found = np.broadcast_to(values.astype(images.dtype), images.shape)
    except ValueError:
        found = np.array(np.nan)
    if not np.isfinite(found).all():
        raise ValueError(
            f"`baseline` must be finite numbers that broadcast to images of shape {images.shape}. "
            f"Received: {values!r}."
        )
    return found


def _areas(
    predict: Predict,
    before: np.ndarray,
    after: np.ndarray,
    maps: np.ndarray,
    targets: np.ndarray,
    steps: int,
    batch_size: int,
    seed: int,
) -> np.ndarray:
    """Areas under the score while `before` turns into `after`: (N,)."""
    arguments.function("predict", predict)
    steps = arguments.whole_number("steps", steps)
    batch_size = arguments.whole_number("batch_size", batch_size)
    rng = np.random.default_rng(arguments.whole_number("seed", seed, 0))
    pixels = maps[0].size
    replaced = np.linspace(0, pixels, steps + 1).round().astype(int)
    areas = []
    for a, b, values, target in zip(before, after, maps, targets, strict=True):
        rank = np.empty(pixels, int)
        rank[np.lexsort((rng.random(pixels), -values.ravel()))] = np.arange(pixels)
        rank = rank.reshape(*values.shape, 1)
        scores = []
        for start in range(0, steps + 1, batch_size):
            batch = [np.where(rank < n, b, a) for n in replaced[start : start + batch_size]]
            scores.append(_scores_of(predict, np.stack(batch), target))
        areas.append(integrate.trapezoid(np.concatenate(scores), replaced / pixels))
    return np.array(areas)


def _scores_of(predict: Predict, batch: np.ndarray, target: int) -> np.ndarray:
    scores = arguments.numbers("predict", predict(batch)).astype(np.float64)
    if scores.ndim != 2 or len(scores) != len(batch) or not 0 <= target < scores.shape[1]:
        raise ValueError(
            "`predict` must answer with a row of classes for each image, and targets be among "
            f"them. Received: scores of shape {scores.shape} for {len(batch)} images, target "
            f"{target}."
        )
    if not np.isfinite(scores).all():
        raise ValueError("`predict` must answer with finite scores. Received: NaN or infinity.")
    return scores[:, target]
