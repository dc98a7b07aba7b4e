"""Who runs a network again that was explained."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..graph.graph import Graph
from ..graph.strings import Given
from ..propagation.best_paths.retracing import Tracks


@dataclass(frozen=True, eq=False)
class Network:
    """A network as its explainer runs it: what views need that are more than what was held.

    Explanations of one process share it, copies made there too. It is no data, so that files and
    pickles of explanations are without it.

    Attributes:
        graph: The calls.
        tracks: Takes the steps of walks again.
        starts: Numbers of the tensors that paths are followed from: the output, or with contrast
            the last maps.
        settings: The method, and the contrast.
        explain: Explains other decisions, as `BacktrackExplainer.explain`.
        checked: Checks what a user gave as `x`.
    """

    graph: Graph
    tracks: Tracks
    starts: Collection[int]
    settings: tuple[str, float | None]
    explain: Callable[..., Any]
    checked: Callable[[Any], Given]

    def __deepcopy__(self, memo: dict) -> "Network":
        return self

    def __reduce__(self) -> tuple:
        return _nobody, ()

    def has(self, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether its tensors are of these names and sizes, as of `HeldNodes`."""
        own = {name: self.graph.specs[number].shape for name, number in self.graph.numbers.items()}
        return own.keys() == shapes.keys() and all(
            own[name][1:].is_compatible_with(shape) or (own[name].rank == 1 and shape == (1,))
            for name, shape in shapes.items()
        )


def _nobody() -> None:
    """What stands for a network where it cannot be."""
