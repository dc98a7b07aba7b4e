"""Whether a map depends on what the network has learned."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..checks import arguments
from ..graph.compat import keras
from .similarity import rank_correlation


class Randomized(NamedTuple):
    """A step of the cascade.

    Attributes:
        layer: Name of the last layer that was randomised.
        share: Of the layers with weights, how many were, in (0, 1].
        likeness: What `compare` returned.
    """

    layer: str
    share: float
    likeness: Any


def cascading_randomization(
    model: Any,
    explain: Callable[[], Any],
    compare: Callable[[np.ndarray, np.ndarray], Any] = rank_correlation,
    *,
    shares: Sequence[float] | None = None,
    seed: int = 0,
) -> list[Randomized]:
    """How alike maps stay while the network's layers lose what they learned, the output's first.

    Adebayo et al., *Sanity checks for saliency maps*, NeurIPS 2018. A map that stays the same does
    not show what the network knows. A layer is randomised by shuffling the values within each of
    its weights, which keeps their distribution and so the scale of activations. Afterwards, and
    after an error too, the model has its own weights again.

    Args:
        model: The Keras model; its weights are changed in place for the time of the call, so
            nobody else must use it.
        explain: Without arguments, to (N, H, W) maps of the model as it then is. Let it ask for the
            same classes every time.
        compare: From the maps before and after to a number: `rank_correlation` or `ssim`, or both
            in a tuple.
        shares: At which shares of randomised layers to look, such as (0.5, 1). None: after
            every layer.
        seed: Of the shuffling.

    Returns:
        The steps in their order. Layers without weights are not counted.

    Raises:
        ValueError: If the model has no weights or a share is not in (0, 1].
    """
    arguments.instance("model", model, keras.Model)
    arguments.function("explain", explain)
    arguments.function("compare", compare)
    layers = _layers_with_weights(model)
    if not layers:
        raise ValueError("`model` must have weights to randomise. Received: a model without.")
    names = list(layers)[::-1]
    if shares is None:
        stops = set(range(1, len(names) + 1))
    else:
        stops = {max(1, round(share * len(names))) for share in _checked(shares)}
    rng = np.random.default_rng(arguments.whole_number("seed", seed, 0))
    before = np.array(explain())  # a copy: a method may return the same array again
    steps = []
    with _kept(model):
        for number, name in enumerate(names[: max(stops)], 1):
            for weight in layers[name]:
                values = weight.numpy()
                weight.assign(rng.permutation(values.ravel()).reshape(values.shape))
            if number in stops:
                likeness = compare(before, np.asarray(explain()))
                steps.append(Randomized(name, number / len(names), likeness))
    return steps


def _checked(shares: Any) -> list[float]:
    found = arguments.numbers("shares", shares)
    if found.ndim != 1 or not len(found) or not ((found > 0) & (found <= 1)).all():
        raise ValueError(
            f"`shares` must be a list of numbers above 0 and at most 1. Received: {shares!r}."
        )
    return found.tolist()


def _layers_with_weights(model: Any) -> dict[str, list[Any]]:
    """The model's weights, those of a layer together, in the order of the layers."""
    layers: dict[str, list[Any]] = {}
    for weight in model.weights:
        # Keras 3 has the layer in the path, Keras 2 in the name.
        path = getattr(weight, "path", weight.name)
        layers.setdefault(path.rpartition("/")[0], []).append(weight)
    return layers


@contextmanager
def _kept(model: Any) -> Iterator[None]:
    """Gives the model its weights back, whatever happens."""
    values = [weight.numpy().copy() for weight in model.weights]
    try:
        yield
    finally:
        for weight, value in zip(model.weights, values, strict=True):
            weight.assign(value)
