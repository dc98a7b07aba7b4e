"""Contact sheets: pictures side by side, methods below one another."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

_SIDE = 1.5  # of a picture, in inches
_MASK, _REGION = "#00d8ff", "#ffffff"


def contact_sheet(
    path: Path,
    titles: Sequence[str],
    photos: np.ndarray,
    masks: np.ndarray,
    rows: Sequence[tuple[str, np.ndarray, np.ndarray, Sequence[str]]],
) -> None:
    """Draws photos with the outline of their masks, and below them what methods made of them.

    Args:
        path: PNG file to write.
        titles: Over each photo.
        photos: (N, h, w, 3) uint8.
        masks: (N, h, w) bool.
        rows: For each method its name, (N, h, w) maps in [0, 1], (N, h, w) regions, and a line
            for each picture.
    """
    fig, axes = _grid(len(rows) + 1, len(photos))
    for ax, title, photo, mask in zip(axes[0], titles, photos, masks, strict=True):
        ax.imshow(photo)
        _outline(ax, mask, _MASK)
        ax.set_title(title, fontsize=7)
    _name(axes[0, 0], "photo and mask")
    for line, (name, maps, regions, captions) in zip(axes[1:], rows, strict=True):
        _name(line[0], name)
        for ax, photo, values, region, caption in zip(
            line, photos, maps, regions, captions, strict=True
        ):
            _overlay(ax, photo, values)
            _outline(ax, region, _REGION)
            ax.set_title(caption, fontsize=6, pad=2)
    save(fig, path)


def map_sheet(
    path: Path,
    columns: Sequence[Sequence[tuple[str, np.ndarray, np.ndarray | None]]],
    names: Sequence[str],
) -> None:
    """Draws columns of photos with a title and, where there is one, a map over them.

    Args:
        path: PNG file to write.
        columns: Of equally many (title, (h, w, 3) uint8 photo, (h, w) map in [0, 1] or None).
        names: Of the rows.
    """
    fig, axes = _grid(len(names), len(columns))
    for line, column in zip(axes.T, columns, strict=True):
        for ax, (title, photo, values) in zip(line, column, strict=True):
            ax.imshow(photo) if values is None else _overlay(ax, photo, values)
            ax.set_title(title, fontsize=6, pad=2)
    for ax, name in zip(axes[:, 0], names, strict=True):
        _name(ax, name)
    save(fig, path)


def save(fig: Figure, path: Path) -> None:
    """Writes a figure, and the folder it goes to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, bbox_inches="tight")


def _grid(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    fig = Figure(figsize=(_SIDE * columns, (_SIDE + 0.12) * rows), dpi=110, layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    return fig, axes


def _name(ax, name: str) -> None:
    ax.set_ylabel(name, fontsize=6)


def _overlay(ax, photo: np.ndarray, values: np.ndarray) -> None:
    grey = photo.mean(axis=-1, keepdims=True).repeat(3, axis=-1) / 255
    ax.imshow(0.3 + 0.7 * grey)
    ax.imshow(values, cmap="inferno", vmin=0, vmax=1, alpha=0.6)


def _outline(ax, region: np.ndarray, colour: str) -> None:
    if region.any() and not region.all():
        ax.contour(region, [0.5], colors=colour, linewidths=0.9)
