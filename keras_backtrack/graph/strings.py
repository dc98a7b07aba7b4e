"""What a model makes of strings: it runs before everything else, and its numbers take their place.

Decisions are followed down to where strings become numbers. There each position is a word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from .compat import Operation, keras
from .encodings import Tokens, tokens_of
from .errors import UnsupportedModelError
from .graph import Call, Graph

# For each row the words at its positions, in reading order; what is behind them is padding.
Words = Sequence[Sequence[str]]


class Given(NamedTuple):
    """What a model was given.

    Attributes:
        own: The whole of each of the model's own inputs; None where that is not known any more.
        x: The whole of each of the graph's inputs.
        words: By name of an input of the graph its words, where it has some.
    """

    own: Sequence[np.ndarray] | None
    x: Sequence[np.ndarray]
    words: Mapping[str, Words]


@dataclass(frozen=True)
class Before:
    """The calls that read strings, and those they need.

    Attributes:
        graph: From the model's own inputs to what the other calls take for theirs.
        names: What each of its outputs is called.
    """

    graph: Graph
    names: tuple[str, ...]

    def __call__(self, own: Sequence[np.ndarray]) -> Given:
        """Runs them, on all rows at once: texts are padded to the longest.

        Args:
            own: The whole of each of the model's own inputs.
        """
        graph = self.graph
        tensors: dict[int, Any] = dict(zip(graph.inputs, own, strict=True))
        for number in {number for call in graph.calls for number in call.inputs}:
            if number in tensors:
                dtype = graph.specs[number].dtype
                tensors[number] = tf.cast(tf.convert_to_tensor(tensors[number]), dtype)
        for call in graph.calls:
            made = call.run(tensors)
            if not all(isinstance(tensor, tf.Tensor) for tensor in made):
                raise UnsupportedModelError(
                    "What strings become must be dense tensors: layers with ragged=True or "
                    f"sparse=True are not followed. Received: {call.describe()}."
                )
            tensors.update(zip(call.outputs, made, strict=True))
        for number, name in zip(graph.outputs, self.names, strict=True):
            if 0 in np.shape(tensors[number]):
                raise ValueError(
                    "There must be a word in one of the texts at least. "
                    f"Received: {np.ravel(own[0])[:3].tolist()!r} for {name!r}."
                )
        words = {}
        for number, name in zip(graph.outputs, self.names, strict=True):
            found = self._words(number, tensors)
            if found is not None:
                words[name] = found
        taken = dict(zip(graph.inputs, own, strict=True))
        x = [taken[n] if n in taken else np.asarray(tensors[n]) for n in graph.outputs]
        return Given(own, x, words)

    def _words(self, number: int, tensors: Mapping[int, Any]) -> Words | None:
        """The words at the positions of an output; None where there are none."""
        call = self.graph.maker(number)
        if call is None:
            return None
        strings = next(tensors[n] for n in call.inputs if self.graph.specs[n].dtype == tf.string)
        layer, made = call.layer, tensors[number]
        if isinstance(layer, (Tokens, keras.layers.TextVectorization)):
            text = layer.layer if isinstance(layer, Tokens) else layer
            rows = _rows_of(tokens_of(text, strings))
            return None if rows is None else [row[: made.shape[-1]] for row in rows]
        # A single string is the column it is in, whatever is in it.
        is_column = self.graph.specs[number].shape[1:].num_elements() == 1
        return None if is_column or made.shape != strings.shape else _rows_of(strings)


def _rows_of(strings: Any) -> Words | None:
    rows = strings.to_list() if isinstance(strings, tf.RaggedTensor) else strings.numpy().tolist()
    is_flat = all(isinstance(word, bytes) for row in rows for word in row)
    return [[word.decode(errors="replace") for word in row] for row in rows] if is_flat else None


def cut_strings_off(graph: Graph) -> Graph:
    """The part of a graph that takes numbers, where strings have become some.

    Args:
        graph: All calls.

    Returns:
        The graph, the rest in its `before`; the same where no call reads strings.

    Raises:
        UnsupportedModelError: If its output is made of strings alone.
    """
    strings = {number for number, spec in graph.specs.items() if spec.dtype == tf.string}
    if not strings:
        return graph
    readers = [call for call in graph.calls if strings.intersection(call.inputs)]
    ends = [n for call in readers for n in call.outputs if n not in strings]
    if {*ends, *strings}.intersection(graph.outputs):
        raise UnsupportedModelError(
            "Decisions are followed down to where strings become numbers, and that is the output "
            f"already. Received: {graph.names[graph.output]!r} as output."
        )
    above = graph.above(*ends)
    sources = {number: _sources(graph, number) for number in above.inputs}
    places = {number: place for place, number in enumerate(graph.inputs)}
    inputs = sorted(
        above.inputs, key=lambda n: (max(places[s] for s in sources[n]), len(sources[n]), n)
    )
    names = {number: _name(graph, number, sources) for number in inputs}
    numbers = [*inputs, *(n for call in above.calls for n in call.outputs)]
    before = replace(graph, outputs=tuple(inputs))
    calls = _needed(graph.calls, inputs)
    return replace(
        above,
        inputs=tuple(inputs),
        specs={number: graph.specs[number] for number in numbers},
        names={number: names.get(number, graph.names[number]) for number in numbers},
        before=Before(replace(before, calls=calls), tuple(names[n] for n in inputs)),
    )


def _sources(graph: Graph, number: int) -> set[int]:
    """Numbers of the inputs that a tensor is made of."""
    found = {number}
    for call in reversed(graph.calls):
        if found.intersection(call.outputs):
            found.update(call.inputs)
    return found.intersection(graph.inputs)


def _name(graph: Graph, number: int, sources: Mapping[int, set[int]]) -> str:
    """That of the input whose place a tensor takes, where there is one such and no other tensor."""
    own, call = sources[number], graph.maker(number)
    if len(own) == 1 and sum(own == others for others in sources.values()) == 1:
        return graph.names[next(iter(own))]
    name = graph.names[number]
    # Of a layer in pieces that of the layer.
    if call is not None and isinstance(call.layer, Operation):
        return name.replace(f"/{call.layer.name}", "")
    return name


def _needed(calls: Sequence[Call], numbers: Sequence[int]) -> tuple[Call, ...]:
    read, needed = set(numbers), []
    for call in reversed(calls):
        if read.intersection(call.outputs):
            needed.append(call)
            read.update(call.inputs)
    return tuple(needed[::-1])
