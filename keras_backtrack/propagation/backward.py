"""The one way back through a graph: what arrives at a tensor is joined, then goes a step down."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import tensorflow as tf

from ..graph.graph import Call, Graph
from ..rules.traced_call import TracedCall

Mass = TypeVar("Mass")


class Place(NamedTuple):
    """One output of one call."""

    call: Call
    position: int


class _HasPlace(Protocol):
    @property
    def call(self) -> Call: ...
    @property
    def position(self) -> int: ...


Step = TypeVar("Step", bound=_HasPlace)


class Taken(NamedTuple):
    """What a step leads to.

    Attributes:
        parts: What arrives in each input of the call; None where nothing can.
        ended: The (E,) mass that ended; None where none can.
        stays: Whether all stayed where it was, and in order.
    """

    parts: Sequence[Any]
    ended: Any = None
    stays: bool = False

    def into(self, call: TracedCall, mass_of: Callable[[Any, int], Any]) -> "Taken":
        """Without what would arrive in inputs that are not followed.

        In truth values mass ends. In a constant of an author's rule it is missed: it is an error.

        Args:
            call: What the step is through.
            mass_of: Takes a part and the place of its input; returns the (E,) mass in it.
        """
        if all(call.followed):
            return self
        ended, parts = self.ended, list(self.parts)
        for place, part in enumerate(self.parts):
            if part is None or call.followed[place]:
                continue
            parts[place] = None
            if call.inputs[place].dtype == tf.bool:
                mass = mass_of(part, place)
                ended = mass if ended is None else ended + mass
        return self._replace(parts=parts, ended=ended)

    def of_images(self, rows: int) -> "Taken":
        """What ended in so many rows of an image, for the image."""
        if rows == 1 or self.ended is None:
            return self
        if isinstance(self.ended, np.ndarray):
            return self._replace(ended=self.ended.reshape(-1, rows).sum(axis=1))
        return self._replace(ended=tf.reduce_sum(tf.reshape(self.ended, [-1, rows]), axis=1))


def places_back(calls: Sequence[Call]) -> list[Place]:
    """The places of some calls, those of the last call first."""
    return [Place(call, i) for call in reversed(calls) for i in range(len(call.outputs))]


def walk_back(
    graph: Graph,
    steps: Iterable[Step],
    start: dict[int, Mass],
    take: Callable[[Step, Mass], Taken],
    join: Callable[[int, list[Mass], bool], Mass],
    until: Collection[int] = (),
) -> tuple[dict[int, Mass], dict[int, Any]]:
    """Takes mass at some tensors back to the graph's inputs.

    Every interpreter goes this way, with nodes in machine code, nodes in TensorFlow or the mass of
    every unit; they differ in what they carry and in the steps they take.

    Args:
        graph: The calls.
        steps: Places of the graph, or steps that have one; those of later calls first.
        start: What there is at first, by tensor number.
        take: Takes a step with what has arrived at its place.
        join: Takes a tensor's number, all that has arrived there, and whether that is one part
            that stayed in order from where it was joined last; makes one of it.
        until: Numbers of tensors that are not gone on from.

    Returns:
        What was held at each tensor that anything arrived at, inputs included, and what ended
        there; both by number.
    """
    arriving: dict[int, list[Mass]] = defaultdict(list, {n: [own] for n, own in start.items()})
    settled = set(start)
    held: dict[int, Mass] = {}
    ended: dict[int, Any] = {}

    def joined(number: int) -> Mass:
        parts = arriving.pop(number)
        return join(number, parts, len(parts) == 1 and number in settled)

    for step in steps:
        number = step.call.outputs[step.position]
        if number not in arriving:
            continue
        held[number] = joined(number)
        if number in until:
            continue
        taken = take(step, held[number])
        if taken.ended is not None:
            ended[number] = taken.ended
        for read, part in zip(step.call.inputs, taken.parts, strict=True):
            if part is not None:
                arriving[read].append(part)
                if taken.stays:
                    settled.add(read)
    held.update((number, joined(number)) for number in graph.inputs if number in arriving)
    return held, ended
