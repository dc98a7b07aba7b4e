"""Whether a map stays the same while the picture stays the same to a person."""

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from ..checks import arguments
from .similarity import rank_correlation

_FAR = 10**6  # pixels, more than a picture has


class Perturbation(NamedTuple):
    """A change of pictures that a person would hardly call another picture.

    Attributes:
        apply: From (N, H, W, C) pictures to such pictures, of the same dtype.
        align: From the maps before and after, (N, H, W) both, to the parts of them that show the
            same place of the picture.
    """

    apply: Callable[[np.ndarray], np.ndarray]
    align: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] = lambda a, b: (a, b)


def stability(
    explain: Callable[[np.ndarray], Any],
    images: Any,
    perturbation: Perturbation,
    compare: Callable[[np.ndarray, np.ndarray], Any] = rank_correlation,
) -> Any:
    """How alike maps, or regions, of pictures and of the same pictures perturbed are.

    Args:
        explain: From (N, H, W, C) pictures to (N, H, W) maps or regions. Where the network may
            change its mind on the perturbed pictures, let it ask for the same classes both times.
        images: (N, H, W, C).
        perturbation: `blur`, `noise`, `jpeg`, `shift`, `flip`, or one of your own.
        compare: From the maps before and after to a number: `rank_correlation`, `ssim`, or `iou`
            for regions.

    Returns:
        What `compare` returns.

    Raises:
        ValueError: If `images` has the wrong shape, or is not what the perturbation needs.
    """
    arguments.function("explain", explain)
    arguments.function("compare", compare)
    arguments.instance("perturbation", perturbation, Perturbation)
    images = arguments.numbers("images", images)
    if images.ndim != 4:
        raise ValueError(
            "`images` must have the shape (images, height, width, channels). "
            f"Received: shape {images.shape}."
        )
    before = np.array(explain(images))
    after = np.asarray(explain(perturbation.apply(images)))
    return compare(*perturbation.align(before, after))


def blur(sigma: float) -> Perturbation:
    """A Gaussian blur of `sigma` pixels."""
    # Wider than any picture it is as good as none, and takes room.
    sigma = arguments.number("sigma", sigma, above=0, most=1e5, of="pixels")
    return Perturbation(
        lambda x: _as(ndimage.gaussian_filter(x.astype(np.float32), (0, sigma, sigma, 0)), x)
    )


def noise(deviation: float, seed: int = 0) -> Perturbation:
    """Gaussian noise of this standard deviation, in the units of the pictures."""
    deviation = arguments.number("deviation", deviation, above=0)
    seed = arguments.whole_number("seed", seed, 0)

    def apply(x: np.ndarray) -> np.ndarray:
        drawn = np.random.default_rng(seed).normal(0, deviation, x.shape)
        return _as(x + drawn.astype(np.float32), x)

    return Perturbation(apply)


def jpeg(quality: int) -> Perturbation:
    """JPEG compression of this quality, 1 to 95; pictures must be uint8, RGB or grey."""
    quality = arguments.whole_number("quality", quality, 1, 95)

    def apply(x: np.ndarray) -> np.ndarray:
        if x.dtype != np.uint8 or x.shape[-1] not in (1, 3):
            raise ValueError(
                "JPEG needs uint8 pictures with 1 or 3 channels. "
                f"Received: {x.dtype} with {x.shape[-1]}."
            )
        return np.stack([_jpeg(picture, quality) for picture in x])

    return Perturbation(apply)


def shift(rows: int, columns: int) -> Perturbation:
    """Moves the picture down and to the right (or back, below 0); its edge pixels are repeated.

    Maps are compared where both show the picture.
    """
    rows = arguments.whole_number("rows", rows, -_FAR, _FAR)
    columns = arguments.whole_number("columns", columns, -_FAR, _FAR)

    def apply(x: np.ndarray) -> np.ndarray:
        if abs(rows) >= x.shape[1] or abs(columns) >= x.shape[2]:
            raise ValueError(
                f"A shift must leave some of the picture. Received: {rows, columns} of pictures "
                f"of {x.shape[1]} × {x.shape[2]}."
            )
        y = np.clip(np.arange(x.shape[1]) - rows, 0, x.shape[1] - 1)
        z = np.clip(np.arange(x.shape[2]) - columns, 0, x.shape[2] - 1)
        return x[:, y[:, None], z[None]]

    def align(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height, width = before.shape[1:]
        old = before[:, max(-rows, 0) : height - max(rows, 0)]
        new = after[:, max(rows, 0) : height - max(-rows, 0)]
        return (
            old[:, :, max(-columns, 0) : width - max(columns, 0)],
            new[:, :, max(columns, 0) : width - max(-columns, 0)],
        )

    return Perturbation(apply, align)


def flip() -> Perturbation:
    """The mirrored picture; its map is mirrored back."""
    return Perturbation(lambda x: x[:, :, ::-1], lambda before, after: (before, after[..., ::-1]))


def _as(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The values in the dtype of `like`, rounded where that is one of ints."""
    if like.dtype.kind not in "iu":
        return values.astype(like.dtype)
    limits = np.iinfo(like.dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(like.dtype)


def _jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(
        buffer, "JPEG", quality=quality
    )
    return np.asarray(Image.open(buffer)).reshape(picture.shape)
