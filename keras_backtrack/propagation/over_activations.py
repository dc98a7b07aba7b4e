"""TensorFlow functions of activations that know which of them they read."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ..graph.graph import Graph
from ..rules import on_the_way, reached


class OverActivations:
    """A function of some activations and of more, traced once for every batch.

    Only after a rule was asked is it known which activations it reads; the others need not be kept.

    Args:
        function: Takes a dict of activations by tensor number, and what `more` describes.
        graph: The graph the tensors are of.
        numbers: The tensors that it may read.
        *more: Specs of its other arguments.

    Attributes:
        reads: Numbers of the tensors that it reads.
        structured_outputs: What it returns, with specs in place of tensors.
    """

    def __init__(
        self, function: Callable, graph: Graph, numbers: Sequence[int], *more: Any
    ) -> None:
        self._numbers = list(dict.fromkeys(numbers))
        specs = [any_batch(graph.specs[number]) for number in self._numbers]

        def call(values: list[tf.Tensor], *rest: Any) -> Any:
            return function(dict(zip(self._numbers, values, strict=True)), *rest)

        # AutoGraph would rewrite every function the trace goes through, which takes seconds.
        traced = tf.function(call, input_signature=[specs, *more], autograph=False)
        self._concrete = traced.get_concrete_function()
        self.structured_outputs = self._concrete.structured_outputs
        given = self._concrete.graph.inputs[: len(self._numbers)]
        pairs = zip(self._numbers, given, strict=True)
        self.reads = [number for number, tensor in pairs if tensor.consumers()]
        self._unread = [tf.zeros([size or 0 for size in spec.shape], spec.dtype) for spec in specs]

    def __call__(self, tensors: dict[int, tf.Tensor], *rest: Any) -> Any:
        read = set(self.reads)
        pairs = zip(self._numbers, self._unread, strict=True)
        # Called as it is: to find the trace for some arguments takes half a millisecond.
        values = [tensors[number] if number in read else unread for number, unread in pairs]
        return self._concrete(values, *rest)


def any_batch(spec: tf.TensorSpec) -> tf.TensorSpec:
    """A tensor's shape and dtype, whatever the size of the batch; of a number alone its own."""
    return tf.TensorSpec([None, *spec.shape[1:]] if spec.shape.rank else [], spec.dtype)


def may_be_read(graph: Graph) -> list[int]:
    """Numbers of the tensors that rules may read on the way back through a graph."""
    read = {number for call in reached(graph) for number in call.inputs}
    return sorted({*graph.inputs, *read, *on_the_way(graph)})
