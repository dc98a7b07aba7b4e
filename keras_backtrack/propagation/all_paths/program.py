"""Forward pass and the way back along all paths as one TensorFlow program."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph
from ...rules import Rules, reached
from ...rules.indexing import dims, product
from ..contrast.start import Parted, start_pairs
from ..nodes import Nodes, held_by
from ..program import Kept, Roots, Run, Sizes, replay
from .spreading import spread_back


class AllPaths:
    """Runs the network once on a batch and spreads each asked decision over all paths back.

    One trace serves every batch size and every number of explanations.

    Args:
        graph: The model's calls.
        rules: Which rule serves which of them.
        wanted: Numbers of the tensors whose nodes are brought back, besides the input and the last
            map: every unit is a node here.
        keep_activations: Whether runs bring all activations back too, for checking.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Rules,
        wanted: Sequence[int] | None = None,
        keep_activations: bool = False,
    ) -> None:
        self.graph = graph
        self._wanted = wanted
        self._rules = rules
        self._keep_activations = keep_activations
        calls = reached(graph)
        outputs = [number for call in calls for number in call.outputs]
        self._reached = [*graph.inputs, *outputs]
        read = {number for call in calls for number in call.inputs}
        self._sizes = Sizes(graph)
        self._read = sorted({graph.output, *self._reached, *read})
        # AutoGraph would rewrite every function the trace goes through, which takes seconds.
        function = partial(tf.function, autograph=False)
        inputs = [_any_batch(graph.specs[number]) for number in graph.inputs]
        self._forward = function(self._trace_forward, input_signature=[inputs])
        self._whole = [
            function(self._trace, input_signature=[inputs, *_ROOTS[:count]]) for count in (3, 4)
        ]
        self._back: list[Any] = []

    @property
    def traces(self) -> int:
        """How often TensorFlow has traced the program: 1 after the first run, and for good; once
        more after the first with differences of units."""
        return sum(f.experimental_get_tracing_count() for f in self._whole)

    def __call__(self, inputs: Sequence[tf.Tensor], owner: np.ndarray, roots: Roots) -> Run:
        """Explains one batch.

        Args:
            inputs: The batch of each of the model's inputs.
            owner: (E,) which image each explanation is about.
            roots: Which units of the output each explains.
        """
        inputs = [tf.convert_to_tensor(values) for values in inputs]
        return self._run(self._whole, [inputs], owner, roots)

    def forward(self, inputs: Sequence[tf.Tensor]) -> Kept:
        """Runs the network alone, for `back` to explain one decision after another."""
        return self._forward([tf.convert_to_tensor(values) for values in inputs])

    def back(self, kept: Kept, owner: np.ndarray, roots: Roots) -> Run:
        """As a call of the program, the network having run."""
        if not self._back:
            specs = self._forward.get_concrete_function().structured_outputs
            specs = tf.nest.map_structure(lambda s: tf.TensorSpec(s.shape, s.dtype), specs)
            self._back = [
                tf.function(
                    self._trace_back, input_signature=[specs, *_ROOTS[:count]], autograph=False
                )
                for count in (3, 4)
            ]
        return self._run(self._back, [kept], owner, roots)

    def _run(self, functions: list, given: Sequence, owner: np.ndarray, roots: Roots) -> Run:
        self._rules.layouts.refresh()
        asked = [owner, *(field for field in roots if field is not None)]
        asked = [tf.constant(field, tf.int64) for field in asked]
        result = functions[roots.versus is not None](*given, *asked)
        sizes = self._sizes.read(result.pop("sizes"))
        return Run(**tf.nest.map_structure(lambda tensor: tensor.numpy(), result), sizes=sizes)

    def _trace_forward(self, inputs: list[tf.Tensor]) -> Kept:
        kept = self._replayed(inputs)
        return kept._replace(tensors={n: tf.identity(kept.tensors[n]) for n in self._read})

    def _replayed(self, inputs: list[tf.Tensor]) -> Kept:
        """All activations."""
        tensors = replay(self.graph, inputs)
        return Kept(tensors, self._sizes.trace(tensors))

    def _trace(self, inputs: list[tf.Tensor], *asked: tf.Tensor) -> dict:
        return self._trace_back(self._replayed(inputs), *asked)

    def _trace_back(
        self,
        kept: Kept,
        owner: tf.Tensor,
        explanation: tf.Tensor,
        unit: tf.Tensor,
        versus: tf.Tensor | None = None,
    ) -> dict:
        tensors = kept.tensors
        output = tf.cast(tensors[self.graph.output], tf.float32)
        output = tf.reshape(output, [-1, product(dims(output))])
        image = tf.gather(owner, explanation)
        ranks = tf.maximum(-tf.cast(tf.reduce_min(unit), tf.int32), 1)
        ranked = tf.cast(tf.math.top_k(output, ranks).indices, tf.int64)
        rank = tf.stack([image, tf.maximum(-unit, 1) - 1], axis=1)
        unit = tf.where(unit < 0, tf.gather_nd(ranked, rank), unit)
        explanations = tf.size(owner)
        count = tf.math.unsorted_segment_sum(tf.ones_like(unit), explanation, explanations)
        mass = 1.0 / tf.cast(tf.gather(count, explanation), tf.float32)
        scores = tf.gather_nd(output, tf.stack([image, unit], axis=1))
        first = tf.math.unsorted_segment_max(unit, explanation, explanations)
        wanted = self._brought(tensors)
        if versus is None:
            index = explanation * tf.shape(output, tf.int64)[1] + unit
            roots = {self.graph.output: Nodes(index, tf.ones_like(mass), mass)}
            versus = tf.fill([explanations], tf.constant(-1, tf.int64))
            start = Parted(roots, {}, tf.fill([explanations, 2], float("nan")), 0.0)
        else:
            versus = tf.where(versus < 0, tf.gather(ranked[:, 0], image), versus)
            start = start_pairs(self.graph, tensors, owner, unit, versus, None, self._rules)
        found = spread_back(self.graph, tensors, owner, start.nodes, self._rules, wanted)
        return {
            "targets": tf.where(count == 1, first, -1),
            "versus": versus,
            "scores": tf.math.unsorted_segment_sum(scores * mass, explanation, explanations),
            "logits": start.logits,
            "lost": start.lost + found.lost,
            "nodes": {n: h for n, h in held_by(start.passed, found.nodes).items() if n in wanted},
            "sizes": kept.sizes,
            "activations": dict(tensors) if self._keep_activations else {},
        }

    def _brought(self, tensors: dict[int, tf.Tensor]) -> list[int]:
        """Numbers of the tensors whose nodes are brought back."""
        maps = [
            number
            for number in self._reached
            if len(dims(tensors[number])) == 3 and tensors[number].shape[1:3] != [1, 1]
        ]
        return [*self.graph.inputs, *maps[-1:], *(self._wanted or ())]


# Owner, explanation, unit and, of differences, the other unit.
_ROOTS = [tf.TensorSpec([None], tf.int64)] * 4


def _any_batch(spec: tf.TensorSpec) -> tf.TensorSpec:
    return tf.TensorSpec([None, *spec.shape[1:]], spec.dtype)
