"""Checks of an explainer's settings."""

from typing import Any

import numpy as np


def check_limit(name: str, value: Any) -> int | None:
    """A limit is None (keep all) or a whole number of at least 1."""
    if value is None:
        return None
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise ValueError(
        f"`{name}` must be an int of at least 1, or None for all. Received: {value!r}."
    )


METHODS = ("viterbi", "posterior", "contrastive")


def check_method(method: Any, include_bias: bool) -> None:
    """A method is one of `METHODS`, and only the walk knows biases."""
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {METHODS}. Received: {method!r}.")
    if include_bias and method != "viterbi":
        raise ValueError(
            "`include_bias` follows the print of Algorithms 1 and 2, so it needs "
            f"method='viterbi'. Received: method={method!r}."
        )


def check_layers(layers: Any) -> list[str] | None:
    """Names of layers are None (no wish) or a list of texts, not one text."""
    if layers is None:
        return None
    if isinstance(layers, str) or not all(isinstance(name, str) for name in layers):
        raise TypeError(
            f"`layers` must be a list of names of layers, or None. Received: {layers!r}."
        )
    return list(layers)
