"""Which of a network's tensors a page shows, and what it calls them."""

from collections.abc import Collection
from dataclasses import dataclass

import tensorflow as tf

from ...graph.graph import Call, Graph
from ...rules import Rules, reached
from ...rules.contributions import Same


@dataclass(frozen=True)
class Shown:
    """The shown tensors, from the input up.

    Attributes:
        numbers: Of the tensors.
        calls: What made each, the calls folded into it last; none for an input.
        folded: Numbers of tensors that are not shown, since what is done to them next leaves every
            node where it is, such as a normalisation behind a convolution.
    """

    numbers: list[int]
    calls: list[list[Call]]
    folded: set[int]

    def place(self, number: int) -> int:
        """Which of the shown a tensor is."""
        return self.numbers.index(number)


def shown_layers(
    graph: Graph, rules: Rules, tensors: dict[int, tf.Tensor], kept: Collection[int] = ()
) -> Shown:
    """Chooses the tensors to show.

    Args:
        graph: The calls.
        rules: Which rule serves which of them.
        tensors: Activation of every tensor for one picture, by number.
        kept: Numbers of tensors that are shown whatever comes next.
    """
    calls = reached(graph)
    readers: dict[int, list[Call]] = {}
    for call in calls:
        follows = rules.trace(graph, call, 0, tensors).followed
        for number in {n for n, follow in zip(call.inputs, follows, strict=True) if follow}:
            readers.setdefault(number, []).append(call)
    folded = set()
    for number, [reader, *more] in readers.items():
        if more or number in graph.inputs or number in kept or len(reader.outputs) > 1:
            continue
        same = isinstance(rules.ask(rules.trace(graph, reader, 0, tensors)), Same)
        if same and tensors[number].shape == tensors[reader.outputs[0]].shape:
            folded.add(number)
    numbers = list(graph.inputs)
    chains: list[list[Call]] = [[] for _ in numbers]
    for call in calls:
        for number in call.outputs:
            if number not in folded and (number in readers or number in graph.outputs):
                numbers.append(number)
                chains.append(_chain(graph, call, folded))
    return Shown(numbers, chains, folded)


def _chain(graph: Graph, call: Call, folded: set[int]) -> list[Call]:
    """A call and those below it that are folded into it, the lowest first."""
    chain: list[Call] = []
    lowest: Call | None = call
    while lowest is not None:
        chain.insert(0, lowest)
        # Only a call that leaves nodes where they are has a folded input.
        lowest = next((graph.maker(n) for n in lowest.inputs if n in folded), None)
    return chain
