"""Making a set of nodes, as the paper's M is one."""

from collections.abc import Sequence

import numpy as np

from .compiled import compiled
from .nodes import NodeArrays


def merge(parts: Sequence[NodeArrays]) -> NodeArrays:
    """As `nodes.merge`: in ascending order, those that coincide with their masses added up."""
    fields = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    return NodeArrays(*_merge(*fields))


def ordered(nodes: NodeArrays) -> NodeArrays:
    """Nodes that are distinct already, in ascending order."""
    if (nodes.index[1:] >= nodes.index[:-1]).all():
        return nodes
    order = np.argsort(nodes.index * 2 + (nodes.sign < 0))
    return NodeArrays(*(field[order] for field in nodes))


@compiled
def _ascending(key):
    """The order that sorts keys of 0 and above, equal ones as they came: a radix sort."""
    bits = 8 if key.size < 4096 else 11
    order, moved = np.arange(key.size), np.empty_like(key)
    first = np.empty(2**bits, np.int64)
    rest, shift = key.max() if key.size else 0, 0
    while rest:
        first[:] = 0
        for k in key:
            first[(k >> shift) & (first.size - 1)] += 1
        start = 0
        for digit in range(first.size):
            count = first[digit]
            first[digit] = start
            start += count
        for i in order:
            digit = (key[i] >> shift) & (first.size - 1)
            moved[first[digit]] = i
            first[digit] += 1
        order, moved = moved, order
        rest >>= bits
        shift += bits
    return order


@compiled
def _merge(index, sign, mass):
    key = index * 2
    for i in range(index.size):
        if sign[i] < 0:
            key[i] += 1
    order = _ascending(key)
    distinct, total = np.empty_like(index), np.empty_like(mass)
    flips = np.empty_like(sign)
    count = 0
    last = np.int64(-1)
    for i in order:
        if key[i] == last:
            total[count - 1] += mass[i]
            continue
        last = key[i]
        distinct[count], flips[count], total[count] = index[i], sign[i], mass[i]
        count += 1
    return distinct[:count].copy(), flips[:count].copy(), total[:count].copy()
