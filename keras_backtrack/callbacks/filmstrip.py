"""Pictures of a training: what a callback recorded, from left to right or one after another."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..pictures import overlays

if TYPE_CHECKING:
    from .record import Record

_CELL = 1.7  # inches
_COLOURS = {"mass on mask": "#d62728", "moved": "#1f77b4", "lost mass": "#7f7f7f"}


class Frames(NamedTuple):
    """What is drawn.

    Attributes:
        pictures: Of each decision, (H, W, 3).
        records: One for each time.
        sigma: Of the Gaussian around each pixel or cell, in pixels.
    """

    pictures: list[np.ndarray]
    records: "list[Record]"
    sigma: float


def figure(frames: Frames, per: str, history: dict[str, list[float]], at_most: int) -> Figure:
    """Draws the attention on each picture, a row for each and a column for each time.

    Args:
        frames: What is drawn.
        per: What a step is: "epoch" or "batch".
        history: Averages by name, drawn as lines below.
        at_most: How many columns.
    """
    pictures, records, sigma = frames
    times = np.unique(np.linspace(0, len(records) - 1, at_most).round().astype(int))
    rows, columns = len(pictures), len(times)
    width, below = max(columns * _CELL, 4.5), 1.8
    fig = Figure(
        figsize=(width, rows * (_CELL + 0.15) + below + 0.4), dpi=100, layout="constrained"
    )
    grid = fig.add_gridspec(rows + 1, columns, height_ratios=[_CELL] * rows + [below])
    for column, number in enumerate(times):
        for row in range(rows):
            ax = fig.add_subplot(grid[row, column])
            _draw(ax, pictures[row], records[number], row, sigma)
            if row == 0:
                title = f"{per} {records[number].step}\n{ax.get_title()}"
                ax.set_title(title.strip(), fontsize=8)
    _lines(fig.add_subplot(grid[rows, :]), history, per)
    return fig


def write_gif(frames: Frames, per: str, path: Path, fps: float) -> Path:
    """Writes one frame for each record."""
    if path.suffix.lower() != ".gif":
        raise ValueError(f"A moving picture is saved as .gif. Received: {str(path)!r}.")
    pictures, records, sigma = frames
    columns = min(4, len(pictures))
    rows = -(-len(pictures) // columns)
    fig = Figure(figsize=(columns * 2.2, rows * 2.4 + 0.4), dpi=80, layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False)
    writer = PillowWriter(fps=fps)  # type: ignore[arg-type]  # It takes floats as well.
    with writer.saving(fig, str(path), dpi=80):
        for record in records:
            for ax in axes.flat:
                ax.clear()
                ax.set_axis_off()
            for row, (ax, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
                _draw(ax, picture, record, row, sigma)
            fig.suptitle(f"{per} {record.step}", fontsize=10)
            writer.grab_frame()
    return path


def _draw(ax: Axes, picture: np.ndarray, record: "Record", row: int, sigma: float) -> None:
    height, width = picture.shape[:2]
    decision = record.decisions[row]
    attention = decision.attention((height, width), sigma)
    ax.imshow(overlays.with_attention(picture, attention))
    ax.set_axis_off()
    if record.on_mask is not None:
        ax.set_title(f"{record.on_mask[row]:.0%} on mask", fontsize=8)


def _lines(ax: Axes, history: dict[str, list[float]], per: str) -> None:
    for name, colour in _COLOURS.items():
        if name in history:
            ax.plot(history["step"], history[name], marker="o", ms=3, color=colour, label=name)
    ax.set(ylim=(-0.03, 1.03), xlabel=per)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.tick_params(labelsize=8)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
