"""Kinds of scenes, and in each where the evidence lies for the class it is of.

Scenes also hold things that tell nothing: they are as frequent in all classes. Most kinds have a
class of scenes with nothing else. Without it a network may know a class by what is not there: what
is neither a square nor a triangle is a disc, and the disc need not be looked at.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .drawing import SIZE, Canvas, Crowded, Place, any_colour

# Draws a scene of a class; returns where its evidence is, (SIZE, SIZE) bool.
Draw = Callable[[Canvas, int], np.ndarray]


class Kind(NamedTuple):
    """A kind of scenes.

    Attributes:
        classes: Their names.
        draw: Draws a scene of a class.
        evidence: What the evidence is, in words.
        needs_place: Whether a network must know where things are: it ends in a Flatten.
        scored: The classes whose evidence is something that is there; None for all.
    """

    classes: tuple[str, ...]
    draw: Draw
    evidence: str
    needs_place: bool = False
    scored: tuple[str, ...] | None = None

    @property
    def is_scored(self) -> np.ndarray:
        """(classes,) bool."""
        return np.isin(self.classes, self.classes if self.scored is None else self.scored)


class Scenes(NamedTuple):
    """Scenes of a kind.

    Attributes:
        pictures: (N, SIZE, SIZE, 3) uint8.
        classes: (N,) int.
        evidence: (N, SIZE, SIZE) bool.
    """

    pictures: np.ndarray
    classes: np.ndarray
    evidence: np.ndarray


def make(kind: str, count: int, seed: int = 0) -> Scenes:
    """Draws scenes, as many of each class.

    Args:
        kind: One of `KINDS`.
        count: How many.
        seed: Of the drawing.
    """
    rng, chosen = np.random.default_rng(seed), KINDS[kind]
    classes = np.arange(count) % len(chosen.classes)
    drawn = [_one(chosen.draw, rng, int(c)) for c in classes]
    pictures, evidence = zip(*drawn, strict=True)
    return Scenes(np.stack(pictures), classes, np.stack(evidence))


def _one(draw: Draw, rng: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
    while True:
        canvas = Canvas(rng)
        try:
            evidence = draw(canvas, number)
        except Crowded:  # Another try has more room.
            continue
        return canvas.bytes(), evidence


_FORMS = ("disc", "square", "triangle")
_COLOURS = ("red", "green", "blue")
_PLACES = ("above", "below left", "below right")
_NOTHING = np.zeros((SIZE, SIZE), bool)


def _something(canvas: Canvas, form: str, colour: np.ndarray | None = None) -> np.ndarray:
    colour = any_colour(canvas.rng) if colour is None else colour
    return canvas.draw(canvas.place(int(canvas.rng.integers(11, 15))), form, colour)


def _shape(canvas: Canvas, number: int) -> np.ndarray:
    for form in ("cross", "ring"):
        _some(canvas, form)
    return _NOTHING if number == 3 else _something(canvas, _FORMS[number])


_TEXTURES = ("stripes across", "stripes down", "checks")


def _texture(canvas: Canvas, number: int) -> np.ndarray:
    dark, light = any_colour(canvas.rng) * 0.3, any_colour(canvas.rng)
    found = _NOTHING
    if number < 3:
        y, x = np.mgrid[:14, :14] // 2 % 2
        wave = (y, x, (y + x) % 2)[number]
        found = canvas.draw(canvas.place(14), "disc", np.where(wave[..., None], light, dark))
    # As rough, without an order, and as bright as a whole.
    rough = canvas.rng.random((14, 14)) < 0.5
    canvas.draw(canvas.place(14), "disc", np.where(rough[..., None], light, dark))
    canvas.draw(canvas.place(14), "disc", (dark + light) / 2)
    return found


def _colour(canvas: Canvas, number: int) -> np.ndarray:
    for neutral in ((0.8, 0.8, 0.8), (0.8, 0.8, 0.15)):
        _something(canvas, str(canvas.rng.choice(["disc", "square"])), np.array(neutral))
    if number == 3:
        return _NOTHING
    colour = np.full(3, 0.15)
    colour[number] = 0.85
    return _something(canvas, str(canvas.rng.choice(["disc", "square"])), colour)


def _place(canvas: Canvas, number: int) -> np.ndarray:
    for _ in range(2):
        _something(canvas, "cross")
    if number == 3:
        return _NOTHING
    y, x = np.mgrid[:SIZE, :SIZE]
    # Clear of the middle lines, where it would be neither.
    sure = (abs(y - SIZE / 2) > 6) & (abs(x - SIZE / 2) > 6)
    is_here = (y < SIZE / 2, (y >= SIZE / 2) & (x < SIZE / 2), (y >= SIZE / 2) & (x >= SIZE / 2))
    place = canvas.place(12, sure & is_here[number])
    return canvas.draw(place, "disc", any_colour(canvas.rng))


def _counting(canvas: Canvas, number: int) -> np.ndarray:
    _some(canvas, "cross")
    colour = any_colour(canvas.rng)
    found = [canvas.draw(canvas.place(9), "disc", colour) for _ in range(number + 1)]
    return np.any(found, axis=0)


def _some(canvas: Canvas, form: str) -> None:
    """None, one or two: of what is always there a network may make a part of its bias."""
    for _ in range(canvas.rng.integers(3)):
        _something(canvas, form)


_PAIRS = (("disc", "square"), ("disc", "triangle"), ("square", "triangle"))
_NAMES_OF_PAIRS = tuple(map(" and ".join, _PAIRS))


def _two_objects(canvas: Canvas, number: int) -> np.ndarray:
    _some(canvas, "cross")
    if number == 3:
        _something(canvas, str(canvas.rng.choice(_FORMS)))
        return _NOTHING
    return np.any([_something(canvas, form) for form in _PAIRS[number]], axis=0)


def _absence(canvas: Canvas, number: int) -> np.ndarray:
    """Four frames; each holds a dot, or one of them none."""
    missing = int(canvas.rng.integers(4)) if number == 1 else None
    inside = []
    for i in range(4):
        place = canvas.place(_FRAME)
        canvas.draw(place, "frame", np.full(3, 0.9))
        inside.append(place.mask)
        if i != missing:
            middle = Place(place.top + _RIM, place.left + _RIM, _FRAME - 2 * _RIM)
            canvas.draw(middle, "disc", any_colour(canvas.rng))
    return np.any(inside, axis=0) if missing is None else inside[missing]


_FRAME, _RIM = 11, 3

KINDS: dict[str, Kind] = {
    "shape": Kind((*_FORMS, "none"), _shape, "the one form that tells the class", scored=_FORMS),
    "texture": Kind((*_TEXTURES, "none"), _texture, "the patch with an order", scored=_TEXTURES),
    "colour": Kind((*_COLOURS, "none"), _colour, "the thing of that colour", scored=_COLOURS),
    "place": Kind((*_PLACES, "none"), _place, "the disc", needs_place=True, scored=_PLACES),
    # One disc, and no other: that is as much about where no disc is. With two it is both.
    "counting": Kind(("one", "two", "three"), _counting, "any of three discs", scored=("three",)),
    "two objects": Kind(
        (*_NAMES_OF_PAIRS, "only one"), _two_objects, "either of the two", scored=_NAMES_OF_PAIRS
    ),
    # That none is missing is to be seen nowhere: as much where no frame is as in those there are.
    "absence": Kind(
        ("complete", "one missing"), _absence, "the frame without a dot", scored=("one missing",)
    ),
}
