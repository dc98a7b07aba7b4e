"""Pictures and the masks that people drew of what is salient in them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from keras_backtrack.pictures.photos import Frame, PhotoError, read_photo

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class Pairs(NamedTuple):
    """Pictures as a network sees them, and their masks.

    Attributes:
        names: (N,) names of the files, without suffix.
        photos: (N, h, w, 3) uint8, RGB, squeezed to the network's input.
        masks: (N, h, w) bool.
        left_out: What was left out, and why.
    """

    names: list[str]
    photos: np.ndarray
    masks: np.ndarray
    left_out: list[str]


def read_pairs(images: Path, masks: Path, size: tuple[int, int], limit: int | None = None) -> Pairs:
    """Reads the pairs of files with the same stem.

    Where both are in one folder, as in MSRA-B, pictures are the files that are no .png.

    Args:
        images, masks: Folders. A mask's pixels from half of its range on are salient.
        size: Height and width that both are brought to.
        limit: Take so many of the pairs at most, evenly from the sorted names.

    Raises:
        ValueError: If a folder does not exist or there are fewer than two pairs.
    """
    found, left_out = _paired(images, masks)
    found = _evenly(found, limit)
    names, photos, regions = [], [], []
    for picture, mask in found:
        try:
            photo, region = read_photo(picture), _read_mask(mask)
            if photo.shape[:2] != region.shape:
                raise ValueError(
                    f"The mask is {region.shape} and its picture {photo.shape[:2]}. "
                    f"Received: {str(mask)!r}."
                )
            if not region.any():
                raise ValueError(f"There is nothing salient in the mask. Received: {str(mask)!r}.")
        except ValueError as error:
            left_out.append(str(error))
            continue
        names.append(picture.stem)
        photos.append(squeezed(photo, size))
        regions.append(_resized(region, size))
    if len(names) < 2:
        raise ValueError(
            "There must be at least two pictures with masks of the same name. Received: "
            f"{str(images)!r} and {str(masks)!r}" + (f", where {left_out[0]}" if left_out else ".")
        )
    return Pairs(names, np.stack(photos), np.stack(regions), left_out)


def some(folder: Path, limit: int | None = None) -> list[Path]:
    """The pictures of a folder by name, or so many of them, evenly picked.

    Raises:
        ValueError: If there are none.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [path for path in paths if path.suffix.lower() in _PICTURES]
    if not paths:
        raise ValueError(f"There are no pictures in this folder. Received: {str(folder)!r}.")
    return _evenly(paths, limit)


def read_photos(paths: list[Path], size: tuple[int, int]) -> np.ndarray:
    """Pictures squeezed to a size, (N, h, w, 3) uint8."""
    return np.stack([squeezed(read_photo(path), size) for path in paths])


def squeezed(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The whole photo at another size, (h, w, 3) uint8."""
    return Frame.squeeze(photo.shape[:2], size).cut(photo)


def _evenly(values: list, limit: int | None) -> list:
    if limit is None or limit >= len(values):
        return values
    return [values[i] for i in np.linspace(0, len(values) - 1, limit).round().astype(int)]


def _paired(images: Path, masks: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    for folder in (images, masks):
        if not folder.is_dir():
            raise ValueError(f"There is no such folder. Received: {str(folder)!r}.")
    together = images.resolve() == masks.resolve()
    pictures = [
        path
        for path in sorted(images.iterdir())
        if path.suffix.lower() in _PICTURES and not (together and path.suffix.lower() == ".png")
    ]
    # Of several files with a mask's name the .png is the mask: it is last here.
    by_stem = {
        path.stem: path
        for path in sorted(masks.iterdir(), key=lambda path: path.suffix.lower() == ".png")
        if path.suffix.lower() in _PICTURES and (not together or path.suffix.lower() == ".png")
    }
    pairs = [(path, by_stem[path.stem]) for path in pictures if path.stem in by_stem]
    without = [f"{path.name} has no mask." for path in pictures if path.stem not in by_stem]
    return pairs, without


def _read_mask(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            # Palettes and bilevel masks become grey values, too.
            grey = np.asarray(image.convert("L"))
    except OSError as error:
        raise PhotoError(f"The mask cannot be read: {error}. Received: {str(path)!r}.") from None
    # Some data sets write 1 for salient.
    return grey >= (128 if grey.max() > 1 else 1)


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(picture.resize(size[::-1], Image.Resampling.BOX)) >= 128
