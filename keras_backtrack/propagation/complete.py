"""Whether a way back is complete: what arrives and what is lost are all there is."""

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np
import tensorflow as tf

from ..graph.graph import Graph
from ..rules import on_the_way
from .kernels import NodeArrays

_ROUNDING = 1e-3  # of a decision's mass, over all the units it is spread over


def check_mass(
    held: Sequence[tuple[int, NodeArrays]],
    lost: np.ndarray,
    sizes: dict[int, tuple[int, ...]],
    ends: Collection[int],
    overflown: Callable[[], str],
) -> None:
    """Checks that mass of decisions has neither vanished nor come from nowhere.

    Args:
        held: Tensor numbers and the nodes held there.
        lost: (E,) the mass of each decision that was lost.
        sizes: By tensor number, the sizes of its axes after the batch axis.
        ends: Numbers of the tensors where ways end.
        overflown: Finds out what is known of where numbers stop being finite.

    Raises:
        RuntimeError: If what arrives and what is lost do not add up to 1, or are no such shares.
    """
    arrived = np.zeros(len(lost))
    for number, nodes in held:
        if number in ends:
            explanation = nodes.index // math.prod(sizes[number])
            arrived += np.bincount(explanation, nodes.mass, len(lost))
    total, least = arrived + lost, np.minimum(arrived, lost)
    wrong = np.flatnonzero(~((np.abs(total - 1) <= _ROUNDING) & (least >= -_ROUNDING)))
    if len(wrong):
        first = wrong[0]
        raise RuntimeError(
            "The mass that arrives where paths end and the mass that is lost must add up to 1 and "
            "be finite. An activation or a sum of contributions may have overflowed, or a rule may "
            f"give mass to an input that is not followed. {overflown()}Received: "
            f"{arrived[first]:.6g} that arrives and {lost[first]:.6g} that is lost, for decision "
            f"{first} of the batch."
        )


def overflown(graph: Graph, tensors: dict[int, tf.Tensor]) -> str:
    """Where numbers stop being finite, as a sentence; empty where all are.

    Args:
        graph: The calls.
        tensors: Activations by tensor number, as far as they are known.
    """
    for numbers in (on_the_way(graph), set(graph.names)):
        for call in graph.calls:
            for number in numbers.intersection(call.outputs, tensors):
                values = tensors[number]
                if values.dtype.is_floating and not _are_finite(values):
                    return (
                        f"The first layer whose output is not finite is {graph.names[number]!r}, "
                        f"which computes in {values.dtype.name}. "
                    )
    return ""


def _are_finite(values: tf.Tensor) -> bool:
    return bool(tf.reduce_all(tf.math.is_finite(values)))
