"""What scenes are drawn with: forms, places that do not overlap, a ground of noise."""

from typing import NamedTuple

import numpy as np

SIZE = 48  # of a scene
FORMS = ("disc", "square", "triangle", "cross", "ring", "frame")


class Canvas:
    """A scene while it is drawn.

    Attributes:
        pixels: (SIZE, SIZE, 3) float32, a ground of dim noise and what was drawn on it.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.pixels = rng.normal(0.3, 0.05, (SIZE, SIZE, 3)).astype(np.float32)
        self._free = np.ones((SIZE, SIZE), bool)

    def place(self, side: int, allowed: np.ndarray | None = None) -> "Place":
        """A random place for something `side` pixels wide, 3 pixels clear of all that is there.

        Args:
            side: How wide.
            allowed: (SIZE, SIZE) bool, where its middle may be. By default anywhere.
        """
        height = SIZE - side + 1
        taken = np.pad(np.cumsum(np.cumsum(~self._free, 0), 1), ((1, 0), (1, 0)))
        top, left = np.mgrid[:height, :height]
        box = taken[top + side, left + side] - taken[top, left + side]
        box = box - taken[top + side, left] + taken[top, left]
        open_ = box == 0
        if allowed is not None:
            open_ &= allowed[top + side // 2, left + side // 2]
        choices = np.argwhere(open_)
        if not len(choices):
            raise Crowded
        top, left = map(int, self.rng.choice(choices))
        self._free[max(top - 3, 0) : top + side + 3, max(left - 3, 0) : left + side + 3] = False
        return Place(top, left, side)

    def draw(self, place: "Place", form: str, colour: np.ndarray) -> np.ndarray:
        """Draws a form.

        Args:
            place: Where.
            form: One of `FORMS`.
            colour: (3,), or (side, side, 3) for a texture.

        Returns:
            (SIZE, SIZE) bool, where it was drawn.
        """
        mask = np.zeros((SIZE, SIZE), bool)
        mask[place.slices] = form_of(form, place.side)
        field = np.zeros_like(self.pixels)
        field[place.slices] = colour
        noise = self.rng.normal(0, 0.03, self.pixels.shape)
        self.pixels = np.where(mask[..., None], field + noise, self.pixels).astype(np.float32)
        return mask

    def bytes(self) -> np.ndarray:
        """The scene as a picture, uint8."""
        return (np.clip(self.pixels, 0, 1) * 255).round().astype(np.uint8)


class Crowded(Exception):
    """There is no room left in a scene."""


class Place(NamedTuple):
    """A square in a scene."""

    top: int
    left: int
    side: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.side), slice(self.left, self.left + self.side)

    @property
    def mask(self) -> np.ndarray:
        """(SIZE, SIZE) bool."""
        mask = np.zeros((SIZE, SIZE), bool)
        mask[self.slices] = True
        return mask


def form_of(form: str, side: int) -> np.ndarray:
    """A form that fills a square: (side, side) bool."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    radius = np.hypot(y, x)
    return {
        "disc": radius <= 0.5,
        "square": np.maximum(abs(y), abs(x)) <= 0.45,
        "triangle": abs(x) <= (y + 0.5) / 2,
        "cross": np.minimum(abs(y), abs(x)) <= 0.15,
        "frame": np.maximum(abs(y), abs(x)) >= 0.5 - 1 / side,
        "ring": (radius <= 0.5) & (radius >= 0.3),
    }[form]


def any_colour(rng: np.random.Generator) -> np.ndarray:
    """A bright colour that tells nothing: (3,)."""
    return rng.uniform(0.5, 1, 3)
