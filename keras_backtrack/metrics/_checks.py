"""What the metrics ask of regions, masks and maps."""

from typing import Any

import numpy as np

from ..checks import arguments


def as_regions(name: str, values: Any) -> np.ndarray:
    """Regions or masks as (N, H, W) bool.

    Raises:
        TypeError: If they hold no numbers.
        ValueError: If the shape is wrong, or there are other values than two.
    """
    values = _pictures(name, values)
    if values.dtype == bool:
        return values
    on = values != 0
    whole = values[on].max(initial=0)
    # 0 and 1, or 0 and 255 as in a PNG; grey values would need a threshold that nobody gave.
    if whole not in (0, 1, 255) or not np.all(values[on] == whole):
        raise ValueError(
            f"`{name}` must be bool, or hold 0 and 1 or 0 and 255 only. Received: values from "
            f"{values.min():g} to {values.max():g}."
        )
    return on


def as_maps(name: str, values: Any, lowest: float = -np.inf, highest: float = np.inf) -> np.ndarray:
    """Maps as (N, H, W) float64, finite and in the range.

    Raises:
        TypeError: If they hold no numbers.
        ValueError: If the shape or a value is wrong.
    """
    values = _pictures(name, values).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(
            f"`{name}` must be finite. Received: {np.sum(~np.isfinite(values))} NaN or infinite "
            "values."
        )
    if values.min() < lowest or values.max() > highest:
        bounds = f"at least {lowest:g}" if highest == np.inf else f"in [{lowest:g}, {highest:g}]"
        raise ValueError(
            f"`{name}` must be {bounds}. Received: values from {values.min():g} to "
            f"{values.max():g}."
        )
    return values


def check_alike(first: str, a: np.ndarray, second: str, b: np.ndarray) -> None:
    """Raises ValueError where two arrays differ in shape."""
    if a.shape != b.shape:
        raise ValueError(
            f"`{first}` and `{second}` must have the same shape. Received: {a.shape} and {b.shape}."
        )


def averaged(values: np.ndarray, average: str | None, pooled: float | None = None) -> Any:
    """A metric's values as `average` asks for them.

    Args:
        values: (N,) of each image.
        average: `"images"`, `"pooled"` or None.
        pooled: The value over all pixels, of metrics that have one.
    """
    kinds = ("images", "pooled", None) if pooled is not None else ("images", None)
    if arguments.one_of("average", average, kinds) is None:
        return values
    return float(values.mean()) if average == "images" else pooled


def _pictures(name: str, values: Any) -> np.ndarray:
    values = arguments.numbers(name, values)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or values.size == 0:
        raise ValueError(
            f"`{name}` must have the shape (images, height, width), or (height, width) for one. "
            f"Received: shape {values.shape}."
        )
    return values
