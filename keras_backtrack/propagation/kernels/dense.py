"""Algorithm 1."""

import numpy as np

from .choosing import FEW, choose, choose_more, share
from .compiled import compiled, in_parts
from .nodes import NodeArrays

_BLOCK = 512  # products that are looked at together


def dense(
    nodes: NodeArrays,
    image_index: np.ndarray,
    source: np.ndarray,
    weight_rows: np.ndarray,
    bias: np.ndarray | None,
    positions: int,
    limit: int | None,
) -> tuple[NodeArrays, np.ndarray]:
    """The best inputs of some units of a Dense layer.

    Args:
        nodes: M nodes at the output.
        image_index: (E,) int64, which row of the batch each explanation is about.
        source: (rows, features) float32, what the layer read.
        weight_rows: (units, features) float32.
        bias: (units,) float32 that counts with every product, or None.
        positions: How many rows an image has.
        limit: How many inputs are chosen for each node; None for all.

    Returns:
        The nodes at the input, not merged; and the (M,) float32 mass that ended at each node.
    """
    features = weight_rows.shape[1]
    limit = features if limit is None else min(limit, features)
    bias = np.zeros(0, np.float32) if bias is None else bias

    def part(first: int, last: int) -> tuple[np.ndarray, ...]:
        own = (field[first:last] for field in nodes)
        return _dense(*own, image_index, source, weight_rows, bias, positions, limit)

    *fields, ended = in_parts(part, len(nodes.index), features, limit)
    return NodeArrays(*fields), ended


@compiled
def _dense(index, sign, mass, image_index, source, weight_rows, bias, positions, limit):
    units, features = weight_rows.shape
    nodes = index.size
    below = np.empty(nodes * limit, np.int64)
    asked = np.empty(nodes * limit, np.float32)
    given = np.empty(nodes * limit, np.float32)
    ended = np.zeros(nodes, np.float32)
    at_once = limit >= features or limit > FEW
    # Block by block, so that products are looked at while they are in the cache.
    step = features if at_once else _BLOCK
    values = np.empty(step, np.float32)
    best, kept = np.empty(limit, np.int64), np.empty(limit, np.float32)
    found = 0
    for m in range(nodes):
        # The row of the layer's input, all explanations' one behind another.
        row, own = index[m] // units, index[m] % units
        explanation, position = row // positions, row % positions
        inputs, weights = source[image_index[explanation] * positions + position], weight_rows[own]
        asks, added = sign[m], bias[own] * sign[m] if bias.size else np.float32(0)
        count = 0
        for start in range(0, features, step):
            factors, reads = weights[start : start + step], inputs[start : start + step]
            block = values[: factors.size]
            for j in range(block.size):
                block[j] = factors[j] * reads[j] * asks + added
            if at_once:
                count = choose(block, limit, best, kept)
            else:
                count = choose_more(block, start, limit, best, kept, count)
        if count == 0:
            ended[m] = mass[m]
        share(mass[m], kept, count)
        for k in range(count):
            below[found] = row * features + best[k]
            asked[found] = -sign[m] if weights[best[k]] < 0 else sign[m]
            given[found] = kept[k]
            found += 1
    return below[:found].copy(), asked[:found].copy(), given[:found].copy(), ended
