"""Pictures and arrays as text in a page."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..heatmaps import mass_map


def jpeg(photo: np.ndarray, longest: int) -> str:
    """A picture as a data address, scaled down where it is larger."""
    image = Image.fromarray(photo)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # Small ones are shown enlarged, so that losses would be seen.
    image.save(buffer, "JPEG", quality=85 if max(image.size) > 400 else 95, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


_DTYPES: dict[str, np.dtype] = {
    "f": np.dtype("<f4"),
    "i": np.dtype("<i4"),
    "u": np.dtype("<i4"),
    "b": np.dtype("i1"),
}


def pack(values: np.ndarray) -> str:
    """An array as text: `f4:`, `i4:` or `i1:` and its bytes, little-endian, in base64."""
    values = np.asarray(values)
    dtype = _DTYPES["b" if values.dtype == np.int8 else values.dtype.kind]
    data = base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()
    return f"{dtype.str[1:]}:{data}"


def pixels_of(points: np.ndarray, mass: np.ndarray, size: Sequence[int]) -> dict:
    """Important pixels as places and masses, or as a map of all pixels, whichever is shorter."""
    if 2 * len(mass) < size[0] * size[1]:
        place = np.ravel_multi_index(tuple(points.T), tuple(size))
        return {"place": pack(place), "mass": pack(mass)}
    return {"map": pack(mass_map(points, mass, size))}
