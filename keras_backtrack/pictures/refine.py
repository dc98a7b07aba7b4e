"""Attention that snaps to the edges of the picture: pure array functions.

The optimisation of Zhu et al., "Saliency Optimization from Robust Background Detection" (CVPR
2014), with the network's attention in place of their contrast.
"""

from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.sparse import csgraph, csr_array

from ..checks import arguments

REFINEMENTS = ("edges", "edges+border")
THRESHOLD = 0.5  # halfway between background and salient

_SEGMENTS = 250
_SMALLEST_SEGMENT = 16  # pixels, which only pictures below 64 × 64 come to
_COMPACTNESS = 10.0
# Standard deviations of Gaussians over colour differences in CIELAB, where 2.3 is just noticeable.
_ALIKE = 5.0  # of segments that should be salient together
_CONNECTED = 10.0  # of segments that belong to one surface


def asked(refine: str | None, images: Any) -> str | None:
    """How attention is refined; ValueError where it is not, but there are pictures for it."""
    if refine is None and images is not None:
        raise ValueError(
            "`images` are what `refine` looks at, 'edges' or 'edges+border'; without it there is "
            f"nothing to do with them. Received: refine=None, images of type {type(images)}."
        )
    return refine


def refine(attention: np.ndarray, image: np.ndarray, kind: str = "edges") -> np.ndarray:
    """Spreads attention over surfaces of one colour and stops it at edges.

    The picture is cut into about 250 segments (SLIC). The result f is constant on each and
    minimises Σ a (f − 1)² + Σ b f² + Σ w (f − f')²: salient where the attention is, not where it is
    not, alike in segments near each other (w) whose colours are alike. a is the root of the share
    of the largest attention, since what holds a hundredth of it is no background yet; b = 1 − a.

    Args:
        attention: (H, W) float in [0, 1].
        image: (H, W, 3), uint8 or float in [0, 1], RGB.
        kind: `"edges"`; or `"edges+border"`, which takes as given that what touches the border of
            the picture along much of its outline is background: b is multiplied by that likelihood.
            Photographers aim, so that helps on photos, but it is not what the network looked at.

    Returns:
        (H, W) float32 in [0, 1], its maximum 1, or all 0 where there is no attention.

    Raises:
        ImportError: If scikit-image is not installed.
        ValueError: If there is no such kind, shapes differ, or there are numbers that are none.
    """
    arguments.one_of("refine", kind, (*REFINEMENTS, None))
    attention, image = np.asarray(attention), np.asarray(image)
    if attention.ndim != 2 or image.shape != (*attention.shape, 3):
        raise ValueError(
            "`image` must have the shape (height, width, 3) and `attention` the same height and "
            f"width. Received: shapes {image.shape} and {attention.shape}."
        )
    if not (np.isfinite(attention).all() and np.isfinite(image).all()):
        wrong = (~np.isfinite(attention)).sum() + (~np.isfinite(image)).sum()
        raise ValueError(
            f"`attention` and `image` must hold finite numbers. Received: {wrong} others."
        )
    if not attention.any():
        return np.zeros(attention.shape, np.float32)
    return Surfaces(image).refine(attention, kind)


class Surfaces:
    """The segments of a picture, for several maps to be refined on it.

    Args:
        image: As for `refine`.
    """

    def __init__(self, image: np.ndarray) -> None:
        self._labels, colours = _segments(image)
        labels, self._count = self._labels, len(colours)
        self._differences = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
        edge = np.concatenate([labels[[0, -1]], labels[:, [0, -1]].T], 1)
        self._border = np.isin(np.arange(self._count), edge)
        self._touching = _touching(labels, self._count)

    def refine(self, attention: np.ndarray, kind: str = "edges") -> np.ndarray:
        """As the function, of attention that is checked."""
        salient = np.sqrt(ndimage.mean(attention, self._labels, np.arange(self._count)))
        if not salient.any():
            return np.zeros(attention.shape, np.float32)
        salient /= salient.max()
        background = 1 - salient
        if kind == "edges+border":
            background *= self._likely_background
        # The small number lets segments without any opinion or neighbour have a solution.
        system = self._laplacian + np.diag(salient + background + 1e-6)
        found = np.linalg.solve(system, salient)
        return np.clip(found / found.max(), 0, 1).astype(np.float32)[self._labels]

    @cached_property
    def _laplacian(self) -> np.ndarray:
        """Of neighbours and their neighbours; the border is one, for background goes round the
        object."""
        touching, border = self._touching, self._border
        near = (touching.astype(int) @ touching > 0) | touching | np.outer(border, border)
        weights = np.where(near, np.exp(-(self._differences**2) / (2 * _ALIKE**2)), 0.0)
        return np.diag(weights.sum(axis=1)) - weights

    @cached_property
    def _likely_background(self) -> np.ndarray:
        return _likely_background(self._differences, self._touching, self._border)


def _segments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of each pixel, 0 to K - 1, and the mean colours (K, 3) in CIELAB."""
    try:
        from skimage.color import rgb2lab
        from skimage.segmentation import slic
    except ImportError:
        raise ImportError(
            "`refine` needs scikit-image: pip install 'keras-backtrack[regions]'. "
            "Received: an environment without it."
        ) from None
    wanted = max(1, min(_SEGMENTS, image[..., 0].size // _SMALLEST_SEGMENT))
    labels = slic(image, wanted, _COMPACTNESS, sigma=1, start_label=0, channel_axis=-1)
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    kinds = np.arange(labels.max() + 1)
    lab = rgb2lab(image)
    return labels, np.stack([ndimage.mean(lab[..., c], labels, kinds) for c in range(3)], axis=1)


def _touching(labels: np.ndarray, count: int) -> np.ndarray:
    """(K, K) bool: which segments have a common side."""
    touching = np.zeros((count, count), bool)
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        touching[a, b] = touching[b, a] = True
    np.fill_diagonal(touching, False)
    return touching


def _likely_background(
    differences: np.ndarray, touching: np.ndarray, border: np.ndarray
) -> np.ndarray:
    """1 − exp(−c² / 2) of the boundary connectivity c (section 3 of the paper above), (K,).

    A surface is what can be reached by small steps in colour; c is the length of its part on the
    border, in segments, over the root of its area.
    """
    joined = touching | np.outer(border, border)
    np.fill_diagonal(joined, False)
    # Steps that are usual between any segment and its most similar neighbour count nothing.
    nearest = np.where(touching, differences, np.inf).min(axis=1)
    usual = nearest[np.isfinite(nearest)].mean() if touching.any() else 0.0
    # A step of 0 would be no edge to SciPy.
    steps = np.where(joined, np.maximum(differences - usual, 0) + 1e-6, 0)
    far = csgraph.dijkstra(csr_array(steps), directed=False)
    share = np.exp(-(far**2) / (2 * _CONNECTED**2))
    connectivity = share @ border / np.sqrt(share.sum(axis=1))
    return 1 - np.exp(-(connectivity**2) / 2)
