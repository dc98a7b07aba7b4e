"""The paper's algorithms as plain loops over NumPy arrays: the oracle and the baseline.

Nothing here is shared with the fast path but the list of calls. M is a dictionary: a node is
`(place, sign)`, the place a tuple of coordinates, and its value is its mass. Each rule takes one
node and returns its children with their shares, which add up to 1, or to less where paths end.

All arithmetic on contributions is in float32, and a window's products are added up position by
position in row-major order, so that ties and near ties fall as they do on the fast path.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.compat import keras
from ...rules import read_model
from .plain_call import READ, Combination, Key, Memory, Paths
from .walk import walk

__all__ = ["ALL_PATHS", "CONTRASTIVE", "Memory", "Paths", "Reference", "backtrack"]

# The posterior: every positive contribution of every unit.
ALL_PATHS = Paths(None, None, None, all_paths=True)
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
    paths: Paths | None = None,
    activations: dict[int, np.ndarray] | None = None,
) -> Reference:
    """Walks one decision about one image back to its pixels.

    Args:
        model: A built model with one output.
        image: The image, without a batch axis; for several inputs one for each.
        target: Which unit of the output to explain, row-major; of two, why the first is higher.
        paths: How many contributions are kept; None for the defaults.
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
    paths = paths or Paths()
    units = target if isinstance(target, tuple) else (target,)
    shape, signs = activations[graph.output].shape, (1, -1)[: len(units)]
    places = [tuple(map(int, np.unravel_index(unit, shape))) for unit in units]
    one, *others = zip(places, signs, strict=True)
    root: Key = one
    if paths.against or others:
        # What is asked alone is contrasted with nothing.
        root = Combination(one, others[0] if others else (one[0], 0))
    memory, lost = walk(graph, activations, {graph.output: {root: 1.0}}, paths)
    if paths.against:
        memory = {n: {node: m for node, m in held.items() if m > 0} for n, held in memory.items()}
        lost = 1 - sum(sum(memory.get(n, {}).values()) for n in graph.inputs)
    return Reference({graph.names[n]: dict(m) for n, m in memory.items() if m}, lost)
