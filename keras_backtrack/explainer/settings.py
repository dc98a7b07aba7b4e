"""Checks of an explainer's settings."""

from typing import Any

import numpy as np

from ..checks import arguments
from ..propagation.limits import Limits


def check_limit(name: str, value: Any) -> int | None:
    """A limit is None (keep all) or a whole number of at least 1."""
    if value is None:
        return None
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise ValueError(
        f"`{name}` must be an int of at least 1, or None for all. Received: {value!r}."
    )


def check_limits(top_n: Any, channels: Any, positions: Any, include_bias: bool) -> Limits:
    """The limits of a walk, each as `check_limit` takes it."""
    given = {"top_n": top_n, "channels": channels, "positions": positions}
    own = {name: check_limit(name, value) for name, value in given.items()}
    return Limits(**own, include_bias=arguments.truth("include_bias", include_bias))


METHODS = ("backtrack", "viterbi", "posterior")
BAR = 0.25  # of the mean over places, that a place must be ahead of


def check_method(method: Any, include_bias: bool) -> str:
    """A method is one of `METHODS`, and only the paper's walk knows biases."""
    if isinstance(method, str) and method == "contrastive":
        raise ValueError(
            "What was method='contrastive' is method='posterior', contrast=1 now: which paths are "
            "followed, and what is asked. Received: method='contrastive'."
        )
    arguments.one_of("method", method, METHODS)
    if include_bias and method != "viterbi":
        raise ValueError(
            "`include_bias` follows the print of Algorithms 1 and 2, so it needs "
            f"method='viterbi', contrast=False. Received: method={method!r}."
        )
    return method


def check_contrast(contrast: Any, include_bias: bool) -> float | None:
    """The bar as a share of the mean over places: from 0 to 1, True for the default; or None."""
    if contrast is False or contrast is None:
        return None
    is_number = isinstance(contrast, (int, float, np.integer, np.floating))
    if not is_number or not 0 <= contrast <= 1:
        raise ValueError(
            "`contrast` must be True, False, or a number from 0 (whole objects) to 1 (only what "
            f"sets the class off). Received: {contrast!r}."
        )
    if include_bias:
        raise ValueError(
            "`include_bias` follows the print of Algorithms 1 and 2, so it needs "
            f"method='viterbi', contrast=False. Received: contrast={contrast!r}."
        )
    return BAR if isinstance(contrast, bool) else float(contrast)


def check_data_format(data_format: Any) -> str | None:
    """A data format is None (as the model says), or one of two."""
    return arguments.one_of("data_format", data_format, ("channels_first", "channels_last", None))


def check_side(side: Any) -> str | None:
    """The side of a decision is None (the predicted), or one of two."""
    return arguments.one_of("side", side, ("high", "low", None))


def check_layers(layers: Any) -> list[str] | None:
    """Names of layers are None (no wish) or a list of texts, not one text."""
    of = "names of layers, or None"
    return None if layers is None else list(arguments.texts("layers", layers, of))
