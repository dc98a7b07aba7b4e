"""Images whose activations are kept, so that every further decision costs only the walk."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ..explanation.explanation import Explanation
from ..graph.structure import Structure
from ..graph.weights import Watch
from ..propagation.activations import Activations
from .batches import Batches
from .inputs import check_eager
from .uncopied import Uncopied


class Prepared(Uncopied):
    """What `BacktrackExplainer.prepare` returns.

    The paper's future work: "stores the best activations directly and give a quick response".

    Attributes:
        nbytes: How much memory the activations take.
    """

    def __init__(
        self, walk: Callable[..., Explanation], watches: Sequence[Watch | Structure], nbytes: int
    ) -> None:
        self._walk = walk
        self._watches = watches
        self.nbytes = nbytes

    def explain(
        self,
        targets: Any = None,
        *,
        versus: Any = None,
        side: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> Explanation:
        """Explains decisions about the prepared images.

        Args:
            targets, versus, side, labels: As for `BacktrackExplainer.explain`.

        Returns:
            What `explain` returns for the same images.

        Raises:
            RuntimeError: If the model has changed since: the activations are of the old.
            TypeError, ValueError: As `BacktrackExplainer.explain`.
        """
        check_eager()
        if any(watch.changed() for watch in self._watches):
            raise RuntimeError(
                "The model's weights have changed since the images were prepared, or its layers: "
                "prepare them again. Received: activations of the model before."
            )
        return self._walk(targets, versus, side, labels)

    __call__ = explain


def activations(
    forward: Callable[[Sequence[tf.Tensor]], Activations], batches: Batches, memory: int
) -> list[Activations]:
    """Runs the network on batches.

    Args:
        forward: The network.
        batches: The input.
        memory: How many bytes the activations may take.

    Raises:
        ValueError: If they would take more, which the first batch tells.
    """
    kept: list[Activations] = []
    for batch in batches:
        kept.append(forward(batch))
        needed = kept[0].nbytes * batches.images // len(batch[0])
        if len(kept) == 1 and needed > memory:
            raise ValueError(
                f"The activations of {batches.images} image(s) take {needed:,} bytes, "
                "which must not be more than `memory`: prepare fewer, or allow more. "
                f"Received: memory={memory:,}."
            )
    return kept
