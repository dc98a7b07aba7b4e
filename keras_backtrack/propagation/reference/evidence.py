"""What speaks for a question and what against it, as plain loops.

A question is what each unit counts with: a number for some units of the output. Step by step it is
what the units below count with, as long as each adds to the output by itself. At a sum over units
of different kinds it comes apart into contributions, above 0 and below.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...graph.compat import keras, operation_name
from ...graph.graph import Graph
from . import joining, moving
from .followed import followed
from .kinds import Kind, kind_of
from .plain_call import Memory, Paths, Place, PlainCall, weights_of
from .walk import children, rule_for, step_at

_WEIGHTS = Paths(None, None, None, all_paths=True, weights=True)

Counts = dict[Place, float]


class Evidence(NamedTuple):
    """By tensor number, masses above 0 of what speaks for a question and of what speaks against.

    Each unit is asked why its value is so high, or so low where it is below 0.
    """

    for_it: dict[int, Memory]
    against: dict[int, Memory]


def evidence(
    graph: Graph, activations: dict[int, np.ndarray], question: Mapping[Place, float]
) -> Evidence:
    """Takes a question to the first sums over units of different kinds.

    Args:
        graph: The calls.
        activations: Every tensor's activation, without a batch axis.
        question: What units of the output count with.
    """
    counts: dict[int, Counts] = defaultdict(lambda: defaultdict(float))
    counts[graph.output].update(question)
    outer, found = {graph.output}, Evidence({}, {})
    for call in reversed(graph.calls):
        for position, number in enumerate(call.outputs):
            if number not in counts:
                continue
            step, own = step_at(graph, call, position, activations, _WEIGHTS), counts[number]
            if not step.followed:
                continue
            kind = kind_of(step)
            if kind is Kind.SAME and number in outer:
                outer.update(call.inputs)
            elif number not in outer:
                own = _of_units_that_are_on(graph, kind, step, own)
            if kind is Kind.LOOP:
                _put(found, number, activations[number], own)
            elif kind in (Kind.MIXED, Kind.PRODUCT):
                for branch, below in _below(step, kind, own).items():
                    _put(found, call.inputs[branch], step.inputs[branch], below)
            else:
                for branch, below in _below(step, kind, own).items():
                    if branch not in step.followed:
                        continue
                    for place, count in below.items():
                        counts[call.inputs[branch]][place] += count
    for number in graph.inputs:
        if number in counts:
            _put(found, number, activations[number], counts[number])
    return found


def _of_units_that_are_on(graph: Graph, kind: Kind, step: PlainCall, counts: Counts) -> Counts:
    """A unit of value 0 adds nothing, whatever it is made of.

    Where classes in competition are still made, of units of different kinds, each counts by how
    much more it does than all on average.
    """
    classes = graph.specs[graph.output].shape[-1]
    sums = kind in (Kind.MIXED, Kind.PRODUCT)
    if sums and _is_competition(graph) and step.output.shape[-1] == classes:
        mean: Counts = defaultdict(float)
        for place, count in counts.items():
            mean[place[:-1]] += count / classes
        counts = {
            (*place, channel): counts.get((*place, channel), 0.0) - mean[place]
            for place in mean
            for channel in range(classes)
        }
    return {place: count for place, count in counts.items() if step.output[place] != 0}


def _is_competition(graph: Graph) -> bool:
    call = graph.maker(graph.output)
    layer = call.layer if call is not None else None
    own = getattr(layer, "activation", None) is keras.activations.softmax
    return own or isinstance(layer, keras.layers.Softmax) or operation_name(layer) == "softmax"


def _below(step: PlainCall, kind: Kind, counts: Counts) -> dict[int, Counts]:
    """What units of each input of a step count with."""
    found: dict[int, Counts] = defaultdict(lambda: defaultdict(float))
    is_sum = kind in (Kind.APART, Kind.MIXED, Kind.PRODUCT)
    rule = rule_for(step.call)
    for place, count in counts.items():
        if kind is Kind.JOINED:
            for branch, (source, weight) in _joined(step, place).items():
                found[branch][source] += count * weight
            continue
        for child in children(rule, step, place, 1):
            weight = child.share if is_sum else child.share * child.sign
            found[child.branch][child.place] += count * weight
    return found


def _joined(step: PlainCall, place: Place) -> dict[int, tuple[Place, float]]:
    """By branch, the unit that one is made of there, and how much of the one to each of it."""
    places, name = joining.aligned(step.inputs, place), step.call.kind.lower()
    values = [float(v[p]) for v, p in zip(step.inputs, places, strict=True)]
    if name in ("add", "average"):
        weights = [1 / len(values) if name == "average" else 1.0] * len(values)
    elif name == "subtract":
        weights = [1.0, -1.0]
    elif name == "divide":
        weights = [1 / values[1], 0.0]
    elif name == "multiply":
        others = [np.prod(values[:i] + values[i + 1 :]) for i in range(len(values))]
        weights = [other / len(step.followed) for other in others]
    else:
        best = values.index(max(values) if name == "maximum" else min(values))
        weights = [float(i == best) for i in range(len(values))]
    return {branch: (places[branch], float(weights[branch])) for branch in step.followed}


def _put(found: Evidence, number: int, values: np.ndarray, counts: Mapping[Place, float]) -> None:
    """Adds what units contribute: their values times what they count with."""
    for place, count in counts.items():
        contributed = count * float(values[place])
        side = found.for_it if contributed > 0 else found.against
        node = place, -1 if values[place] < 0 else 1
        nodes = side.setdefault(number, {})
        nodes[node] = nodes.get(node, 0.0) + abs(contributed)


def logit(graph: Graph, activations: dict[int, np.ndarray], place: Place) -> float:
    """The value of a unit of the output, without the activations that it went through."""
    number = graph.output
    while (call := graph.maker(number)) is not None:
        step = step_at(graph, call, call.outputs.index(number), activations, _WEIGHTS)
        if not step.followed or step.is_folded:
            break
        kind = kind_of(step)
        if kind in (Kind.APART, Kind.MIXED):
            (counts,) = _below(step, kind, {place: 1.0}).values() or ({},)
            (source, *_) = (step.inputs[branch] for branch in step.followed)
            total = sum(count * float(source[p]) for p, count in counts.items())
            return total + _bias(step, place)
        if kind is not Kind.SAME or rule_for(call) is not moving.unchanged:
            break
        (branch,) = followed(graph, call)
        (child,) = rule_for(call)(step, place, 1)
        number, place = call.inputs[branch], child.place
    return float(activations[number][place])


def _bias(step: PlainCall, place: Place) -> float:
    if getattr(step.layer, "bias", None) is None:
        return 0.0
    bias = weights_of(step.layer, "bias")
    return float(np.broadcast_to(bias, step.output.shape)[place])
