"""Maps in the shape that metric libraries such as Quantus ask for."""

from typing import Any

import numpy as np

from ..checks import arguments
from ..graph.compat import keras
from .explainer import BacktrackExplainer

# The last model's explainer: a metric asks about one model many times.
_LAST: list[tuple[Any, dict, BacktrackExplainer]] = []
_KINDS = ("attention", "mass")


def explain_func(
    model: keras.Model,
    inputs: Any,
    targets: Any,
    *,
    kind: str = "attention",
    sigma: float | None = None,
    **settings: Any,
) -> np.ndarray:
    """Attribution maps of some images, for any code that compares methods.

    The signature is that of Quantus's `explain_func`:

    >>> metric(model=model, x_batch=x, y_batch=y, explain_func=explain_func,
    ...        explain_func_kwargs={"method": "posterior"})

    Quantus holds images channels first. Metrics that perturb pixels, such as its PixelFlipping,
    want maps made beforehand, which it lays out as it does the images:

    >>> metric(model=model, x_batch=x, y_batch=y, a_batch=explain_func(model, x, y))

    The explainer of the last model is kept, so that another call with the same settings does not
    build it anew; weights are read at every call.

    Args:
        model: A built `keras.Model`.
        inputs: (N, H, W, C) images as the model takes them, or (N, C, H, W) of the same.
        targets: (N,) ints, a class for each image.
        kind: `"attention"`, maps smoothed and scaled to [0, 1], or `"mass"`, how much of the
            decision ended in each pixel.
        sigma: As for `Explanation.attention`.
        **settings: For `BacktrackExplainer`, such as `method="posterior"`.

    Returns:
        (N, H, W) float32, at least 0.

    Raises:
        TypeError, ValueError: As `BacktrackExplainer`; or if there is no such kind.
    """
    arguments.one_of("kind", kind, _KINDS)
    if not (_LAST and _LAST[0][0] is model and repr(_LAST[0][1]) == repr(settings)):
        _LAST[:] = [(model, settings, BacktrackExplainer(model, **settings))]
    graph = _LAST[0][2].network.graph
    channels = graph.specs[graph.inputs[0]].shape[-1]
    x = _channels_last(arguments.numbers("inputs", inputs), channels)
    classes = arguments.numbers("targets", targets)
    with np.errstate(invalid="ignore"):
        whole = classes.astype(np.int64)
    if (classes != whole).any():
        raise ValueError(f"`targets` must be whole numbers. Received: {targets!r}.")
    e = _LAST[0][2].explain(x, whole)
    return e.attention(sigma) if kind == "attention" else e.mass_map()


def _channels_last(images: np.ndarray, channels: int) -> np.ndarray:
    """Images as a model of so many channels takes them."""
    is_first = images.ndim == 4 and images.shape[-1] != channels == images.shape[1]
    return np.moveaxis(images, 1, -1) if is_first else images
