"""Making a set of nodes, as the paper's M is one."""

from collections.abc import Sequence
from itertools import pairwise

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
    # Parts are in ascending order already, as a rule, which a stable sort makes use of.
    order = np.argsort(index * 2 + (sign < 0), kind="stable")
    return NodeArrays(*_merge(index, sign, mass, order))


def ordered(nodes: NodeArrays) -> NodeArrays:
    """Nodes that are distinct already, in ascending order."""
    if (nodes.index[1:] >= nodes.index[:-1]).all():
        return nodes
    order = np.argsort(nodes.index * 2 + (nodes.sign < 0))
    return NodeArrays(*(field[order] for field in nodes))


def heaviest(nodes: NodeArrays, size: int, count: int) -> NodeArrays:
    """Of each explanation's nodes the heaviest, with all of its mass, in ascending order.

    Args:
        nodes: Distinct nodes of a tensor.
        size: Units in one row of it.
        count: How many each explanation keeps at most; of equals those with the lowest index.
    """
    explanation = nodes.index // size
    # Nodes come in ascending order of each sign, which a stable sort makes use of.
    order = np.argsort(explanation, kind="stable")
    owner = explanation[order]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    parts = [NodeArrays(nodes.index[:0], nodes.sign[:0], nodes.mass[:0])]
    for first, last in pairwise([*starts, len(order)]):
        own = _taken(nodes, order[first:last])
        if last - first > count:
            least = np.partition(own.mass, last - first - count)[last - first - count]
            own = _taken(own, own.mass >= least)
            ranked = np.lexsort((own.sign < 0, own.index, -own.mass))[:count]
            total, own = nodes.mass[order[first:last]].sum(dtype=np.float64), _taken(own, ranked)
            share = total / own.mass.sum(dtype=np.float64)
            own = own._replace(mass=(own.mass * share).astype(np.float32))
        parts.append(own)
    return ordered(NodeArrays(*map(np.concatenate, zip(*parts, strict=True))))


def _taken(nodes: NodeArrays, at: np.ndarray) -> NodeArrays:
    return NodeArrays(*(field[at] for field in nodes))


@compiled
def _merge(index, sign, mass, order):
    distinct, total = np.empty_like(index), np.empty_like(mass)
    flips = np.empty_like(sign)
    count = 0
    for i in order:
        if count and index[i] == distinct[count - 1] and sign[i] == flips[count - 1]:
            total[count - 1] += mass[i]
            continue
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
    # No mass can stand for an empty entry: there is none that no node may have.
    table, is_held = np.zeros(2 * places, np.float32), np.zeros(2 * places, np.bool_)
    count = 0
    for i in range(index.size):
        entry = 2 * (index[i] - first) + (sign[i] < 0)
        if not is_held[entry]:
            is_held[entry] = True
            count += 1
        table[entry] += mass[i]
    distinct, total = np.empty(count, np.int64), np.empty(count, np.float32)
    flips = np.empty(count, np.float32)
    found = 0
    for entry in range(table.size):
        if is_held[entry]:
            distinct[found], total[found] = first + entry // 2, table[entry]
            flips[found] = -1 if entry % 2 else 1
            found += 1
    return distinct, flips, total
