"""Why one unit and not another, as plain loops: from the difference of two units to nodes."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from ...graph.errors import UnsupportedLayerError
from ...graph.graph import Graph
from . import joining, recurrent, weighted
from .step import Limits, Memory, Place, Step, asks, best_of, shares_of, weights_of
from .walk import rule_for, steps_back

# Two units with what each counts with: +1, -1, or 0 where it is not there.
Pair = tuple[tuple[Place, int], tuple[Place, int]]


class Start(NamedTuple):
    """Nodes to walk on from and units passed, by tensor number, and the mass that ended."""

    nodes: dict[int, Memory]
    passed: dict[int, Memory]
    lost: float


def start_pair(
    graph: Graph, activations: dict[int, np.ndarray], pair: Pair, limits: Limits
) -> Start:
    """Takes the difference of two units of the output back to where it is single nodes."""
    arriving: dict[int, list[tuple[Pair, float]]] = defaultdict(list)
    arriving[graph.output].append((pair, 1.0))
    nodes: dict[int, Memory] = defaultdict(lambda: defaultdict(float))
    passed: dict[int, Memory] = defaultdict(lambda: defaultdict(float))
    lost = 0.0
    for step, number in steps_back(graph, activations, limits):
        rule = rule_for(step.call)
        for pair, mass in arriving.pop(number, []):
            held = nodes if rule is recurrent.recurrent else passed
            there = [unit for unit in pair if unit[1]]
            for unit in there:
                held[number][unit] += mass / len(there)
            if rule is recurrent.recurrent:
                continue
            reads = step.call.inputs
            if rule in _WEIGHTS:
                children, ended = _difference(step, _WEIGHTS[rule], pair)
                for node, share in children:
                    nodes[reads[0]][node] += mass * share
            else:
                if rule is weighted.average_pooling:
                    children, ended = _by_place(step, pair)
                elif rule in (joining.add, joining.subtract):
                    children, ended = _branches(step, pair, rule is joining.subtract)
                else:
                    children, ended = _moved(step, rule, pair)
                for branch, child, share in children:
                    arriving[reads[branch]].append((child, mass * share))
            lost += mass * ended
    return Start(nodes, passed, lost)


def _dense(step: Step, place: Place) -> dict[Place, np.float32]:
    column = weights_of(step.layer, "kernel")[:, place[-1]]
    return {(*place[:-1], j): weight for j, weight in enumerate(column)}


def _convolution(step: Step, place: Place) -> dict[Place, np.float32]:
    kernel, groups = weights_of(step.layer, "kernel"), step.layer.groups
    taps = weighted.convolution_taps(step, place)
    first = place[-1] // (kernel.shape[-1] // groups) * kernel.shape[-2]
    return {
        (*position, first + channel): kernel[tap][channel, place[-1]]
        for tap, position in taps
        for channel in range(kernel.shape[-2])
    }


def _mean(step: Step, place: Place) -> dict[Place, np.float32]:
    positions = weighted.pool(step.layer, step.inputs[0], step.output, place)
    return {(*p, place[-1]): np.float32(1 / len(positions)) for p in positions}


_WEIGHTS = {weighted.dense: _dense, weighted.convolution: _convolution}


def _difference(step: Step, weights, pair: Pair) -> tuple[list, float]:
    """(W_a - W_b)·A over the inputs of either."""
    total, bias = defaultdict(np.float32), defaultdict(np.float32)
    for place, sign in pair:
        own = weighted.bias_of(step, place[-1], sign)
        for source, weight in weights(step, place).items() if sign else ():
            total[source] += np.float32(sign) * weight
            bias[source] += own
    places = sorted(total)
    values = {p: total[p] * step.inputs[0][p] + bias[p] for p in places}
    limits, shares = step.limits, {}
    if weights is _dense or limits.all_paths:
        shares = _best(values, None if limits.all_paths else limits.top_n)
    else:
        sums = defaultdict(np.float32)
        for place in places:
            sums[place[-1]] += values[place]
        for channel, portion in _best(sums, limits.channels).items():
            inside = {p: values[p] for p in places if p[-1] == channel}
            shares.update((p, portion * s) for p, s in _best(inside, limits.positions).items())
    children = [((place, asks(1, total[place])), share) for place, share in shares.items()]
    if limits.against:
        sides = [sum(max(s * v, 0.0) for v in values.values()) for s in (1, -1)]
        children = [
            ((p, asks(1 if value > 0 else -1, total[p])), float(value) / max(sides))
            for p, value in values.items()
            if value
        ]
    return children, 1 - sum(shares.values())


def _by_place(step: Step, pair: Pair) -> tuple[list, float]:
    """The places where the first exceeds the second."""
    weights, values = [], defaultdict(np.float32)
    for place, sign in pair:
        own = {p[:-1]: w for p, w in _mean(step, place).items()} if sign else {}
        weights.append(own)
        for position, weight in own.items():
            values[position] += np.float32(sign) * weight * step.inputs[0][position][place[-1]]
    limit = None if step.limits.all_paths else step.limits.top_n
    shares = _best({p: values[p] for p in sorted(values)}, limit)
    children = []
    for position, share in shares.items():
        child = tuple(
            ((*position, place[-1]), sign if position in own else 0)
            for (place, sign), own in zip(pair, weights, strict=True)
        )
        children.append((0, child, share))
    return children, 1 - sum(shares.values())


def _branches(step: Step, pair: Pair, is_difference: bool) -> tuple[list, float]:
    """What each branch adds to the difference."""
    scale = [1, -1] if is_difference else [1] * len(step.inputs)
    units = [joining.aligned(step.inputs, place) for place, _ in pair]
    values = {
        branch: sum(
            np.float32(factor * sign) * source[own[branch]]
            for (_, sign), own in zip(pair, units, strict=True)
        )
        for branch, (factor, source) in enumerate(zip(scale, step.inputs, strict=True))
    }
    if step.limits.all_paths:
        shares = _best(values, None)
    else:
        shares = {max(values, key=lambda branch: (values[branch], -branch)): 1.0}
    children = []
    for branch, share in shares.items():
        signs = [scale[branch] * sign for _, sign in pair]
        child = tuple((own[branch], sign) for own, sign in zip(units, signs, strict=True))
        children.append((branch, child, share))
    return children, 1 - sum(shares.values())


def _moved(step: Step, rule, pair: Pair) -> tuple[list, float]:
    """Each unit to its own place."""
    found = [rule(step, place, sign) if sign else [] for place, sign in pair]
    if any(len(children) > 1 for children in found):
        raise UnsupportedLayerError(
            f"The reference takes no pairs through this layer. Received: {step.call.describe()}."
        )
    count = sum(sign != 0 for _, sign in pair)
    by_branch: dict[int, dict[int, tuple[Place, int]]] = defaultdict(dict)
    for which, children in enumerate(found):
        for child in children:
            by_branch[child.branch][which] = (child.place, child.sign)
    children = []
    for branch, units in by_branch.items():
        nobody = (next(iter(units.values()))[0], 0)
        child = tuple(units.get(which, nobody) for which in range(2))
        children.append((branch, child, len(units) / count))
    return children, 1 - sum(share for _, _, share in children)


def _best(values: dict, limit: int | None) -> dict:
    """The largest values above 0, with their shares."""
    keys, numbers = list(values), list(values.values())
    chosen = best_of(numbers, limit)
    shares = shares_of([numbers[i] for i in chosen])
    return {keys[i]: share for i, share in zip(chosen, shares, strict=True)}
