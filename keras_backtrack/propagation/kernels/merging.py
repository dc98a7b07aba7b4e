"""Making a set of nodes, as the paper's M is one."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from .compiled import compiled
from .nodes import NodeArrays

_SPARSE = 4  # places for each node, from which sorting the nodes costs less than a table of places


def merge(parts: Sequence[NodeArrays]) -> NodeArrays:
    """As `nodes.merge`: in ascending order, those that coincide with their masses added up."""
    fields = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    index, sign, mass = fields
    if index.size:
        first, last = _span(index)
        if last - first < _SPARSE * index.size:
            return NodeArrays(*_merge_in_table(index, sign, mass, first, last + 1 - first))
    ends = np.array([*accumulate(part.index.size for part in parts)])
    return NodeArrays(*_merge(index, sign, mass, ends))


def ordered(nodes: NodeArrays) -> NodeArrays:
    """Nodes that are distinct already, in ascending order."""
    if (nodes.index[1:] >= nodes.index[:-1]).all():
        return nodes
    order = np.argsort(nodes.index * 2 + (nodes.sign < 0))
    return NodeArrays(*(field[order] for field in nodes))


@compiled
def _order(key, ends):
    """The order that sorts keys of 0 and above, equal ones as they came.

    Args:
        key: (M,) int64, in parts that are in ascending order already, as a rule.
        ends: (parts,) int64, where each part ends.
    """
    order = np.arange(key.size)
    first = 0
    for end in ends:
        for i in range(first + 1, end):
            if key[i] < key[i - 1]:
                order[first:end] = _ascending(key[first:end]) + first
                break
        first = end
    for part in range(1, ends.size):
        order[: ends[part]] = _interleaved(key, order[: ends[part - 1]], order, ends[part])
    return order


@compiled
def _interleaved(key, before, order, end):
    """The order of all up to `end`, where those `before` and those behind them are in order."""
    both = np.empty(end, np.int64)
    i, j = 0, before.size
    for place in range(end):
        if j == end or (i < before.size and key[before[i]] <= key[order[j]]):
            both[place] = before[i]
            i += 1
        else:
            both[place] = order[j]
            j += 1
    return both


@compiled
def _ascending(key):
    """As `_order`, of keys in any order: a radix sort."""
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
def _merge(index, sign, mass, ends):
    key = index * 2
    for i in range(index.size):
        if sign[i] < 0:
            key[i] += 1
    order = _order(key, ends)
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


@compiled
def _span(index):
    """The smallest and the largest."""
    first = last = index[0]
    for place in index:
        first, last = min(first, place), max(last, place)
    return first, last


@compiled
def _merge_in_table(index, sign, mass, first, places):
    """As `_merge`, with an entry for each sign of every place; masses are added as they come."""
    table = np.full(2 * places, np.nan, np.float32)
    count = 0
    for i in range(index.size):
        entry = 2 * (index[i] - first) + (sign[i] < 0)
        if np.isnan(table[entry]):
            table[entry] = mass[i]
            count += 1
        else:
            table[entry] += mass[i]
    distinct, total = np.empty(count, np.int64), np.empty(count, np.float32)
    flips = np.empty(count, np.float32)
    found = 0
    for entry in range(table.size):
        if not np.isnan(table[entry]):
            distinct[found], total[found] = first + entry // 2, table[entry]
            flips[found] = -1 if entry % 2 else 1
            found += 1
    return distinct, flips, total
