"""From important pixels to attention, salient regions and boxes: pure array functions."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..checks import arguments

# Shares of the longer side, and of the largest attention: for all paths what finds most of objects
# on photos with masks (`python -m benchmarks regions`). Few points need a wide Gaussian.
SIGMAS = {"backtrack": 0.07, "viterbi": 0.07, "posterior": 0.03}
# Cells of a layer are wide as they are, but the walk's are few.
LAYER_SIGMAS = {"backtrack": 0.015, "viterbi": 0.07, "posterior": 0.01}
THRESHOLDS = {"backtrack": 0.18, "viterbi": 0.15, "posterior": 0.2}
_SMALLEST_BOX = 0.05  # of the mass in pixels
_FEW = 200  # Points for which drawing each is faster than filtering the whole map.


def unique_points(points: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Makes points a sorted set; those that coincide add their masses up.

    Args:
        points: (M, axes) int.
        mass: (M,) float32.

    Returns:
        (P, axes) int32 unique rows, sorted, and (P,) float32.
    """
    points, place = np.unique(points, axis=0, return_inverse=True)
    total = np.bincount(place.reshape(-1), weights=mass, minlength=len(points))
    return points.astype(np.int32), total.astype(np.float32)


def mass_map(points: np.ndarray, mass: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Mass in every cell of a map; of points that coincide the masses add up.

    Args:
        points: (P, axes) int, places in the map.
        mass: (P,) float32.
        shape: Sizes of the map, such as (height, width).

    Returns:
        Float32 array of that shape.
    """
    place = np.ravel_multi_index(tuple(points.T), tuple(shape))
    total = np.bincount(place, weights=mass, minlength=math.prod(shape))
    return total.reshape(shape).astype(np.float32)


def attention(
    points: np.ndarray, mass: np.ndarray, height: int, width: int, sigma: float | None = None
) -> np.ndarray:
    """A Gaussian around each pixel, weighted by mass, its maximum scaled to 1 (paper: Fig. 3c).

    Args:
        points: (P, 2) int rows (row, column).
        mass: (P,) float.
        height, width: Size of the map.
        sigma: Standard deviation in pixels, above 0; None for 7 % of the longer side.

    Returns:
        (height, width) float32 in [0, 1], all 0 where there is no pixel.
    """
    sigma = _checked(SIGMAS["viterbi"] * max(height, width) if sigma is None else sigma)
    if len(points) <= _FEW:
        down, across = _around(points[:, 0], height, sigma), _around(points[:, 1], width, sigma)
        weighted = (mass[:, None] * down).astype(np.float32)
        return _scaled(np.einsum("pi,pj->ij", weighted, across))
    return _smoothed(mass_map(points, mass, (height, width)), sigma)


def attention_of_grid(grid: np.ndarray, height: int, width: int, sigma: float) -> np.ndarray:
    """As `attention`, of the mass in the cells of a layer, interpolated between their centres.

    Args:
        grid: (h, w) float, the mass in each cell.
        height, width: Size of the map.
        sigma: Standard deviation in pixels of the map, above 0.

    Returns:
        (height, width) float32 in [0, 1].
    """
    factors = height / grid.shape[0], width / grid.shape[1]
    density = ndimage.zoom(
        grid.astype(np.float32), factors, order=1, mode="nearest", grid_mode=True
    )
    return _smoothed(density, sigma)


def centres(grid: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels in the middle of a layer's cells that hold mass, and their mass.

    Args:
        grid: (h, w) float, the mass in each cell.
        height, width: Size of the picture.

    Returns:
        (P, 2) int32 rows (row, column), and (P,) float32.
    """
    cells = np.argwhere(grid > 0)
    points = ((cells + 0.5) * (height, width) / grid.shape).astype(np.int32)
    return points, grid[tuple(cells.T)].astype(np.float32)


def _smoothed(density: np.ndarray, sigma: float) -> np.ndarray:
    return _scaled(ndimage.gaussian_filter(density, _checked(sigma), mode="constant"))


def _around(places: np.ndarray, length: int, sigma: float) -> np.ndarray:
    """A Gaussian around each place on an axis, cut off where SciPy's is: (P, length) float32."""
    away = np.abs(np.arange(length) - places[:, None])
    values = np.exp(-0.5 * np.square(away / sigma))
    return np.where(away > int(4 * sigma + 0.5), 0, values).astype(np.float32)


def _scaled(density: np.ndarray) -> np.ndarray:
    largest = density.max()
    return density / largest if largest > 0 else density


def _checked(sigma: float) -> float:
    # A Gaussian wider than any picture is as good as none, and takes room.
    return arguments.number("sigma", sigma, above=0, most=1e5, of="pixels")


def saliency(attention: np.ndarray, threshold: float) -> np.ndarray:
    """Where attention reaches the threshold, and there is any (paper: IV-A, Fig. 3b).

    Args:
        attention: Float array of any shape, in [0, 1].
        threshold: Between 0 and 1.

    Returns:
        Bool array of the same shape.
    """
    arguments.number("threshold", threshold, least=0, most=1)
    return (attention >= threshold) & (attention > 0)


def defaults_of(method: str, has_fine: bool) -> str:
    """The method whose shares and threshold maps have: without a fine layer where all paths become
    the best, all of them lead to the pixels.

    Args:
        method: How paths were followed.
        has_fine: Whether there is such a layer.
    """
    return "posterior" if method == "backtrack" and not has_fine else method


def inside(points: np.ndarray, box: Sequence[int]) -> np.ndarray:
    """Which of the (P, 2) points are in a half-open box (top, left, bottom, right): (P,) bool."""
    return np.all((points >= box[:2]) & (points < box[2:]), axis=1)


def boxes(region: np.ndarray, points: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Boxes around connected regions, the one with the largest mass first (paper: IV).

    Args:
        region: (H, W) bool.
        points: (P, 2) int rows (row, column), the important pixels.
        mass: (P,) float.

    Returns:
        (B, 4) int32 rows (top, left, bottom, right), half open. Regions with less than 5 % of
        the mass are left out.
    """
    labels, count = ndimage.label(region, structure=np.ones((3, 3)))
    inside = np.bincount(labels[tuple(points.T)], weights=mass, minlength=count + 1)[1:]
    slices = ndimage.find_objects(labels)
    order = [i for i in np.argsort(-inside, kind="stable") if inside[i] > _SMALLEST_BOX * sum(mass)]
    corners = [
        (slices[i][0].start, slices[i][1].start, slices[i][0].stop, slices[i][1].stop)
        for i in order
    ]
    return np.array(corners, np.int32).reshape(-1, 4)
