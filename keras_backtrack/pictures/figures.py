"""Figures: columns as in the paper's Figs. 1-3."""

import io
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from . import overlays

_COLUMNS = ("image", "important pixels", "attention", "saliency", "boxes")
_WIDTH = 3.0  # of a column, in inches
_FLATTEST, _TALLEST = 1 / 8, 4  # Height ÷ width of a picture's place; the picture keeps its own.
_MOST_PIXELS = 2**16 - 1000  # that matplotlib draws in a direction, less room for titles
_LETTERS = 40  # of a title, in a column


class Row(NamedTuple):
    """One decision to draw.

    Attributes:
        image: (H, W, 3) uint8, or float in [0, 1].
        points: (P, 2) rows (row, column).
        mass: (P,) float, which makes points larger and denser.
        attention: (H, W) float in [0, 1].
        region: (H, W) bool.
        boxes: (B, 4) rows (top, left, bottom, right).
        title: Stands over the image.
    """

    image: np.ndarray
    points: np.ndarray
    mass: np.ndarray
    attention: np.ndarray
    region: np.ndarray
    boxes: np.ndarray
    title: str


class Pair(NamedTuple):
    """A decision between two classes to draw.

    Attributes:
        image: (H, W, 3) uint8, or float in [0, 1].
        attention: (H, W) float in [0, 1], of either class by itself.
        points: (P, 2) rows (row, column), the pixels of the decision between them.
        mass: (P,) float, which makes points larger and denser.
        titles: Of either class, of their difference, and of the decision.
    """

    image: np.ndarray
    attention: tuple[np.ndarray, np.ndarray]
    points: np.ndarray
    mass: np.ndarray
    titles: tuple[str, str, str, str]


def displayable(image: np.ndarray) -> np.ndarray:
    """Any image as (H, W, 3) that matplotlib can show; what is out of range is stretched."""
    image = image[..., :3] if image.shape[-1] >= 3 else image[..., :1].repeat(3, axis=-1)
    if image.dtype == np.uint8:
        return image
    image = image.astype(np.float32)
    if image.min() >= 0 and image.max() <= 1:
        return image
    low, high = image.min(), image.max()
    return (image - low) / (high - low if high > low else 1)


def figure(rows: Sequence[Row]) -> Figure:
    """Draws decisions below one another."""
    fig, axes = _grid([row.image for row in rows], len(_COLUMNS))
    for line, row in zip(axes, rows, strict=True):
        for name, ax in zip(_COLUMNS, line, strict=True):
            _draw(name, ax, row)
    for name, ax in zip(_COLUMNS[1:], axes[0][1:], strict=True):
        ax.set_title(name, fontsize=9)
    return fig


def comparison(pairs: Sequence[Pair]) -> Figure:
    """Draws decisions between two classes below one another: either class's attention, in red and
    blue where the one or the other has more, and the pixels of the decision."""
    lines = max(_wrapped(title).count("\n") + 1 for pair in pairs for title in pair.titles)
    fig, axes = _grid([pair.image for pair in pairs], 5, lines)
    for line, pair in zip(axes, pairs, strict=True):
        one, other = pair.attention
        line[0].imshow(pair.image)
        line[1].imshow(overlays.with_attention(pair.image, one))
        line[2].imshow(overlays.with_attention(pair.image, other))
        line[3].imshow(overlays.with_difference(pair.image, one - other))
        _draw_pixels(line[4], pair.image, pair.points, pair.mass)
        for ax, title in zip(line[1:], pair.titles, strict=True):
            ax.set_title(_wrapped(title), fontsize=9)
    return fig


def named_boxes(
    images: Sequence[tuple[np.ndarray, Sequence[tuple[Sequence[int], int, str]]]], columns: int
) -> Figure:
    """Draws images with boxes that have a number for their colour, and a name."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height = max(_height(image) for image, _ in images)
    fig = _figure(_WIDTH * columns, height * rows)
    axes = fig.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (image, boxes) in zip(axes.flat, images, strict=False):
        ax.imshow(image)
        tops = _tops_of_names(image.shape[1], boxes)
        # The first is drawn last, so that others do not hide it.
        for (box, number, name), top in reversed([*zip(boxes, tops, strict=True)]):
            # Golden steps round the circle: classes next to one another get colours far apart.
            colour = colormaps["hsv"](number * 0.618 % 1)
            _draw_box(ax, box, colour)
            text = {"facecolor": colour, "edgecolor": "none", "pad": 1, "alpha": 0.9}
            ink = "black" if np.dot(colour[:3], (0.3, 0.59, 0.11)) > 0.4 else "white"
            ax.text(box[1], top + 1, name, va="top", fontsize=7, color=ink, bbox=text)
    return fig


def _tops_of_names(width: int, boxes: Sequence[tuple[Sequence[int], int, str]]) -> list[float]:
    """Where each box's name is put so that none covers another: at its top, or further down."""
    point = width / (72 * _WIDTH)
    height, letter = 10 * point, 5 * point
    taken: list[tuple[float, float, float]] = []
    for (top, left, *_), _, name in boxes:
        right, row = left + letter * len(name), float(top)
        while any(abs(row - r) < height and left < b and a < right for r, a, b in taken):
            row += height
        taken.append((row, left, right))
    return [row for row, _, _ in taken]


def _grid(images: Sequence[np.ndarray], columns: int, lines: int = 2) -> tuple[Figure, np.ndarray]:
    """A figure with a row of axes for each image, and room for titles of so many lines."""
    heights = [_height(image) for image in images]
    fig = _figure(_WIDTH * columns, sum(heights) + (0.2 + 0.17 * lines) * len(images))
    axes = fig.subplots(len(images), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for ax in axes.flat:
        ax.set_axis_off()
    return fig, axes


def _height(image: np.ndarray) -> float:
    """Of an image's place, in inches: a strip of a picture would have a figure of metres."""
    return _WIDTH * min(max(image.shape[0] / image.shape[1], _FLATTEST), _TALLEST)


def _figure(width: float, height: float) -> Figure:
    """A figure of a size in inches, as sharp as that allows."""
    dpi = min(100.0, _MOST_PIXELS / height)
    return Figure(figsize=(width, height), dpi=dpi, layout="constrained")


def png(fig: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def _draw(name: str, ax: Axes, row: Row) -> None:
    if name == "image":
        ax.imshow(row.image)
        ax.set_title(_wrapped(row.title), fontsize=9)
    elif name == "important pixels":
        _draw_pixels(ax, row.image, row.points, row.mass)
    elif name == "attention":
        ax.imshow(overlays.with_attention(row.image, row.attention))
    elif name == "saliency":
        ax.imshow(overlays.with_region(row.image, row.region))
    else:
        ax.imshow(row.image)
        for box in row.boxes:
            _draw_box(ax, box, overlays.ACCENT)


def _wrapped(title: str) -> str:
    return "\n".join(textwrap.fill(line, _LETTERS) for line in title.split("\n"))


def _draw_box(ax: Axes, box: Sequence[int], colour: Any) -> None:
    top, left, bottom, right = box
    corner, size = (left - 0.5, top - 0.5), (right - left, bottom - top)
    ax.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=2))


def _draw_pixels(ax: Axes, image: np.ndarray, points: np.ndarray, mass: np.ndarray) -> None:
    ax.imshow(overlays.faded(image))
    if not len(points):
        ax.annotate("no pixel was reached", (0.5, 0.5), xycoords="axes fraction", ha="center")
        return
    share: np.ndarray = mass / (mass.max() or 1)
    # A few pixels are drawn as points that one can see, thousands as the pixels they are.
    height, width = image.shape[:2]
    pixel = 2 * (72 * min(_WIDTH / width, _height(image) / height)) ** 2
    size = pixel + 60 * share * min(1, 100 / len(share))
    row, column = points.T
    ax.scatter(column, row, s=size, c=overlays.ACCENT, linewidths=0, alpha=np.sqrt(share))
    ax.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
