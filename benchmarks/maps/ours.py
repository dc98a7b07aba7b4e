"""The methods of keras_backtrack, as contenders."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_backtrack import BacktrackExplainer

from .resizing import to_pixels
from .subject import Subject

FINE = "fine"  # the layer that default explanations are read at
_BATCH = 8

# What is asked and which paths are followed.
SETTINGS: dict[str, dict[str, Any]] = {
    "backtrack": {},
    "viterbi (the paper's)": {"method": "viterbi", "contrast": False},
    "viterbi, contrast": {"method": "viterbi"},
    "posterior": {"method": "posterior", "contrast": False},
    "posterior, contrast": {"method": "posterior"},
}


def ours(layer: str | None = None, **settings: Any) -> Callable[[Subject], Callable]:
    """A method of keras_backtrack; the map is the mass in each pixel, or cell of a layer.

    Args:
        layer: Name of the layer; `FINE` for the one that default explanations are read at; None for
            the pixels.
        settings: As `BacktrackExplainer` takes them.
    """

    def make(subject: Subject) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        at = subject.fine_layer if layer == FINE else layer
        wanted = None if at is None else [at]
        explainer = BacktrackExplainer(subject.whole, layers=wanted, **settings)

        def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
            e = explainer.explain(x, _asked(subject, targets), batch_size=_BATCH)
            return e.mass_map() if at is None else to_pixels(e.mass_map(at), subject)

        return explain

    return make


def _asked(subject: Subject, units: np.ndarray) -> np.ndarray:
    """Units of the flat output, as the explainer takes them."""
    shape = subject.whole.output_shape[1:]
    if len(shape) == 1:
        return units
    masks = np.zeros((len(units), subject.units), bool)
    masks[np.arange(len(units)), units] = True
    return masks.reshape(-1, *shape)


OURS = {
    "backtrack": ours(FINE),
    "backtrack, pixels": ours(),
    **{name: ours(**settings) for name, settings in SETTINGS.items() if name != "backtrack"},
    "posterior, layer": ours(FINE, **SETTINGS["posterior"]),
}
