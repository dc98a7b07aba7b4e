"""Combinations of two units as plain loops: why one and not another."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from ...graph.errors import UnsupportedLayerError
from . import joining, weighted
from .plain_call import (
    Combination,
    Lead,
    Place,
    PlainCall,
    Unit,
    asks,
    best_of,
    shares_of,
    weights_of,
)


def leads(rule: Callable, step: PlainCall, pair: Combination) -> list[Lead]:
    """Where a combination leads: to combinations of the inputs' units, or to single nodes."""
    if rule in _WEIGHTS:
        return _difference(step, _WEIGHTS[rule], pair)
    if rule is weighted.average_pooling:
        return _by_place(step, pair)
    if rule in (joining.add, joining.subtract):
        return _branches(step, pair, rule is joining.subtract)
    return _moved(step, rule, pair)


def _dense(step: PlainCall, place: Place) -> dict[Place, np.float32]:
    column = weights_of(step.layer, "kernel")[:, place[-1]]
    return {(*place[:-1], j): weight for j, weight in enumerate(column)}


def _convolution(step: PlainCall, place: Place) -> dict[Place, np.float32]:
    kernel, groups = weights_of(step.layer, "kernel"), step.layer.groups
    taps = weighted.convolution_taps(step, place)
    first = place[-1] // (kernel.shape[-1] // groups) * kernel.shape[-2]
    return {
        (*position, first + channel): kernel[tap][channel, place[-1]]
        for tap, position in taps
        for channel in range(kernel.shape[-2])
    }


def _mean(step: PlainCall, place: Place) -> dict[Place, np.float32]:
    positions = weighted.pool(step.layer, step.inputs[0], step.output, place)
    return {(*p, place[-1]): np.float32(1 / len(positions)) for p in positions}


_WEIGHTS = {weighted.dense: _dense, weighted.convolution: _convolution}


def _difference(step: PlainCall, weights: Callable, pair: Combination) -> list[Lead]:
    """(W_a - W_b)·A over the inputs of either."""
    total: dict[Place, np.float32] = defaultdict(np.float32)
    bias: dict[Place, np.float32] = defaultdict(np.float32)
    for place, sign in pair:
        own = weighted.bias_of(step, place[-1], sign)
        for source, weight in weights(step, place).items() if sign else ():
            total[source] += np.float32(sign) * weight
            bias[source] += own
    places = sorted(total)
    values = {p: total[p] * step.inputs[0][p] + bias[p] for p in places}
    shares = {}
    if weights is _dense or step.paths.all_paths:
        shares = _best(values, None if step.paths.all_paths else step.paths.top_n)
    else:
        sums: dict[int, np.float32] = defaultdict(np.float32)
        for place in places:
            sums[place[-1]] += values[place]
        for channel, portion in _best(sums, step.paths.channels).items():
            inside = {p: values[p] for p in places if p[-1] == channel}
            shares.update((p, portion * s) for p, s in _best(inside, step.paths.positions).items())
    return [Lead((place, asks(1, float(total[place]))), share) for place, share in shares.items()]


def _by_place(step: PlainCall, pair: Combination) -> list[Lead]:
    """The places where the first exceeds the second."""
    weights = []
    values: dict[Place, np.float32] = defaultdict(np.float32)
    for place, sign in pair:
        own = {p[:-1]: w for p, w in _mean(step, place).items()} if sign else {}
        weights.append(own)
        for position, weight in own.items():
            values[position] += np.float32(sign) * weight * step.inputs[0][position][place[-1]]
    limit = None if step.paths.all_paths else step.paths.top_n
    found = []
    for position, share in _best({p: values[p] for p in sorted(values)}, limit).items():
        pairs = zip(pair, weights, strict=True)
        one, other = (((*position, p[-1]), s if position in own else 0) for (p, s), own in pairs)
        found.append(Lead(Combination(one, other), share))
    return found


def _branches(step: PlainCall, pair: Combination, is_difference: bool) -> list[Lead]:
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
    if step.paths.all_paths:
        shares = _best(values, None)
    else:
        shares = {max(values, key=lambda branch: (values[branch], -branch)): 1.0}
    found = []
    for branch, share in shares.items():
        signs = [scale[branch] * sign for _, sign in pair]
        one, other = ((own[branch], sign) for own, sign in zip(units, signs, strict=True))
        found.append(Lead(Combination(one, other), share, branch))
    return found


def _moved(step: PlainCall, rule: Callable, pair: Combination) -> list[Lead]:
    """Each unit to its own place."""
    found = [rule(step, place, sign) if sign else [] for place, sign in pair]
    if any(len(own) > 1 for own in found):
        raise UnsupportedLayerError(
            "The reference takes no combinations through this layer. "
            f"Received: {step.call.describe()}."
        )
    count = sum(sign != 0 for _, sign in pair)
    by_branch: dict[int, dict[int, Unit]] = defaultdict(dict)
    for which, own in enumerate(found):
        for child in own:
            by_branch[child.branch][which] = (child.place, child.sign)
    children = []
    for branch, units in by_branch.items():
        nobody = (next(iter(units.values()))[0], 0)
        both = Combination(units.get(0, nobody), units.get(1, nobody))
        children.append(Lead(both, len(units) / count, branch))
    return children


def _best(values: dict, limit: int | None) -> dict:
    """The largest values above 0, with their shares."""
    keys, numbers = list(values), list(values.values())
    chosen = best_of(numbers, limit)
    shares = shares_of([numbers[i] for i in chosen])
    return {keys[i]: share for i, share in zip(chosen, shares, strict=True)}
