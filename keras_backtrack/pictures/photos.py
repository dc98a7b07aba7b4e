"""Photos from files, cut and scaled for a network, and places in the network's input back again."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from .heatmaps import unique_points

_KEPT = 224 / 256  # of the shorter side: ImageNet's usual evaluation


class PhotoError(ValueError):
    """A file that cannot be read as a photo."""


def as_text(path: str | Path) -> str:
    """A path as text that can be shown, which names of files need not be."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_photo(path: str | Path) -> np.ndarray:
    """Reads a picture file as `open_photo` does: (H, W, 3) uint8, RGB."""
    return np.asarray(open_photo(path))


def open_photo(path: str | Path) -> Image.Image:
    """Reads a picture file, turned as its EXIF orientation says.

    Args:
        path: Any format that Pillow reads; of an animation the first picture.

    Returns:
        The picture in mode RGB; the file is closed.

    Raises:
        PhotoError: If there is no such file, it is no picture, it is damaged, or its header says
            that it is of more than twice `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    received = f"Received: {str(path)!r}."
    if not os.path.lexists(path):
        raise PhotoError(f"There is no such file. {received}")
    if not os.path.isfile(path):  # A pipe would be waited for.
        raise PhotoError(f"This is no file. {received}")
    try:
        with Image.open(path) as image:
            ImageOps.exif_transpose(image, in_place=True)
            return _as_rgb(image)
    except UnidentifiedImageError:
        raise PhotoError(f"The file is not a picture. {received}") from None
    except Exception as error:  # On damaged files Pillow's readers raise all kinds.
        reason = str(error) or type(error).__name__
        raise PhotoError(f"The picture cannot be read: {reason}. {received}") from None


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":  # `convert` would copy it.
        image.load()
        return image
    if image.mode == "F":
        raise ValueError("its pixels are floats, and their range is not known")
    if image.mode.startswith("I"):
        # 16 bits of grey, which Pillow would cut off at 255.
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise ValueError("its pixels have more than 16 bits")
        # TIFF has 32-bit integers as well, in which bytes may be kept.
        are_bytes = image.mode == "I" and image.format == "TIFF" and pixels.max() < 256
        image = Image.fromarray((pixels if are_bytes else pixels >> 8).astype(np.uint8))
    return image.convert("RGB")


@dataclass(frozen=True)
class Frame:
    """The part of a photo that a network sees, and at what size.

    Attributes:
        photo: Height and width of the photo.
        part: Edges of the part in the photo: top, left, bottom, right, fractions allowed.
        network: Height and width of the network's input.
    """

    photo: tuple[int, int]
    part: tuple[float, float, float, float]
    network: tuple[int, int]

    @classmethod
    def crop(cls, photo: tuple[int, int], network: tuple[int, int]) -> "Frame":
        """The centre, as in ImageNet's evaluation: 224 of 256 parts of the shorter side."""
        scale = min(photo[0] / network[0], photo[1] / network[1]) * _KEPT
        height, width = network[0] * scale, network[1] * scale
        top, left = (photo[0] - height) / 2, (photo[1] - width) / 2
        return cls(photo, (top, left, top + height, left + width), network)

    @classmethod
    def squeeze(cls, photo: tuple[int, int], network: tuple[int, int]) -> "Frame":
        """The whole photo, its proportions changed."""
        return cls(photo, (0.0, 0.0, float(photo[0]), float(photo[1])), network)

    def cut(self, photo: np.ndarray | Image.Image) -> np.ndarray:
        """What the network sees of a photo: (h, w, 3) uint8.

        Args:
            photo: (H, W, 3) uint8, or the same from `open_photo`, which need not be copied.
        """
        top, left, bottom, right = self.part
        image = photo if isinstance(photo, Image.Image) else Image.fromarray(photo)
        image = image.resize(
            self.network[::-1], Image.Resampling.BICUBIC, box=(left, top, right, bottom)
        )
        return np.asarray(image)

    def points(self, points: np.ndarray) -> np.ndarray:
        """(P, 2) rows of the network's input to the photo's pixels under their centres."""
        top, left, bottom, right = self.part
        scale = np.array([bottom - top, right - left]) / self.network
        points = np.floor([top, left] + (points + 0.5) * scale)
        return np.clip(points, 0, np.array(self.photo) - 1).astype(np.int32)

    def in_network(self, points: np.ndarray) -> np.ndarray:
        """(P, 2) rows of the photo's pixels to those of the network's input that lie on them."""
        top, left, bottom, right = self.part
        scale = np.array(self.network) / [bottom - top, right - left]
        points = np.floor((points + 0.5 - [top, left]) * scale)
        return np.clip(points, 0, np.array(self.network) - 1).astype(np.int32)

    def in_photo(self, points: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Important pixels of the network's input as those of the photo.

        Args:
            points: (P, 2) int rows (row, column).
            mass: (P,) float32.

        Returns:
            (Q, 2) int32 unique rows, sorted, and (Q,) float32; Q is less where pixels coincide.
        """
        return unique_points(self.points(points), mass)

    def boxes(self, boxes: np.ndarray) -> np.ndarray:
        """(B, 4) half-open boxes of the network's input to the smallest ones in the photo."""
        top, left, bottom, right = self.part
        scale = np.array([bottom - top, right - left] * 2) / (self.network * 2)
        edges = np.array([top, left, top, left]) + boxes * scale
        edges = np.concatenate([np.floor(edges[:, :2]), np.ceil(edges[:, 2:])], axis=1)
        return np.clip(edges, 0, self.photo * 2).astype(np.int32)

    def map(self, values: np.ndarray) -> np.ndarray:
        """A float map of the network's input to the size of the photo, 0 where it saw nothing."""
        top, left, bottom, right = self.part
        rows, columns = (np.arange(n) + 0.5 for n in self.photo)
        y = (rows - top) / (bottom - top) * self.network[0] - 0.5
        x = (columns - left) / (right - left) * self.network[1] - 0.5
        scaled = ndimage.map_coordinates(
            values, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest"
        )
        seen_rows = (rows >= top) & (rows < bottom)
        seen_columns = (columns >= left) & (columns < right)
        return np.where(seen_rows[:, None] & seen_columns[None], scaled, 0).astype(np.float32)
