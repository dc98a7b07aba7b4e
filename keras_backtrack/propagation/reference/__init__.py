"""The paper's algorithms as plain loops over NumPy arrays: the oracle and the baseline.

Nothing here is shared with the fast path but the list of calls and which of their inputs decisions
are followed into. M is a dictionary: a node is `(place, sign)`, the place a tuple of coordinates,
and its value is its mass. Each rule takes one node and returns its children with their shares,
which add up to 1, or to less where paths end.

All arithmetic on contributions is in float32, and a window's products are added up position by
position in row-major order, so that ties and near ties fall as they do on the fast path.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.compat import keras
from ...rules import read_model
from .pairs import start_pair
from .step import READ, Limits, Memory
from .walk import walk

__all__ = ["ALL_PATHS", "CONTRASTIVE", "Limits", "Memory", "Reference", "backtrack"]

# The posterior: every positive contribution of every unit.
ALL_PATHS = Limits(None, None, None, all_paths=True)
# The same of what speaks for the decision, less that of what speaks against it.
CONTRASTIVE = ALL_PATHS._replace(against=True)


class Reference(NamedTuple):
    """What `backtrack` returns.

    Attributes:
        nodes: By name of the tensor, the paper's memory vector M there.
        lost: Mass of the paths that ended on the way.
    """

    nodes: dict[str, Memory]
    lost: float


def backtrack(
    model: keras.Model,
    image: np.ndarray | Sequence[np.ndarray],
    target: int | tuple[int, int],
    limits: Limits | None = None,
    activations: dict[int, np.ndarray] | None = None,
) -> Reference:
    """Walks one decision about one image back to its pixels.

    Args:
        model: A built model with one output.
        image: The image, without a batch axis; for several inputs one for each.
        target: Which unit of the output to explain, row-major; of two, why the first is higher.
        limits: How many contributions are kept; None for the defaults.
        activations: Every tensor's activation for this image, without a batch axis, by its number
            in the model's graph. By default the model is run.
    """
    READ.clear()
    graph = read_model(model)
    if activations is None:
        images = image if isinstance(image, (list, tuple)) else [image]
        specs = [graph.specs[number] for number in graph.inputs]
        pairs = zip(images, specs, strict=True)
        tensors = graph.replay([tf.cast(values, spec.dtype)[None] for values, spec in pairs])
        activations = {number: np.asarray(tensor)[0] for number, tensor in tensors.items()}
    limits = limits or Limits()
    places = np.transpose(np.unravel_index(target, activations[graph.output].shape))
    if isinstance(target, tuple) or limits.against:
        # Against nothing, where there is no other.
        both = places if isinstance(target, tuple) else [places, places]
        signs = (1, -1 if isinstance(target, tuple) else 0)
        pair = tuple((tuple(map(int, p)), s) for p, s in zip(both, signs, strict=True))
        roots, passed, ended = start_pair(graph, activations, pair, limits)
    else:
        roots, passed, ended = {graph.output: {(tuple(map(int, places)), 1): 1.0}}, {}, 0.0
    memory, lost = walk(graph, activations, roots, limits, limits.against)
    for number, nodes in passed.items():
        for node, mass in nodes.items():
            memory[number][node] += mass
    if limits.against:
        memory = {n: {node: m for node, m in held.items() if m > 0} for n, held in memory.items()}
        lost, ended = 1 - sum(sum(memory.get(n, {}).values()) for n in graph.inputs), 0.0
    return Reference({graph.names[n]: dict(m) for n, m in memory.items() if m}, lost + ended)
