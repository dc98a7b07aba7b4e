"""The program of every method: the network forward, the question resolved, the decision back."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..graph.graph import Graph
from ..rules import Rules, reached
from .activations import Activations, Arrays, Sizes, replay
from .all_paths.all_paths import AllPaths
from .best_paths.best_paths import BestPaths
from .contrast.start import Start, start
from .kernels import NodeArrays, helpers, merge
from .limits import Limits
from .nodes import Asked, Nodes, Walked
from .over_activations import OverActivations, any_batch, may_be_read
from .paths import Batch, Paths
from .question import Answered, Question, answered

_ROUNDING = 1e-3  # of a decision's mass, over all the units it is spread over


class Run(NamedTuple):
    """What one batch's run brings back, as NumPy arrays.

    Attributes:
        targets: (E,) int64, the explained unit of the output, -1 where there are several.
        versus: (E,) int64, the unit it is contrasted with, -1 where there is none.
        scores: (E,) float32, the target's value, or the mean of their values.
        logits: (E, 2) float32, the values of both units behind the output's activation; NaN where
            there is no contrast.
        lost: (E,) float32, mass of the paths that ended before the input.
        nodes: By tensor number, the nodes held there; absent where there were none.
        sizes: By tensor number, the sizes of its axes after the batch axis.
        activations: By tensor number, its activation; empty unless asked for.
    """

    targets: np.ndarray
    versus: np.ndarray
    scores: np.ndarray
    logits: np.ndarray
    lost: np.ndarray
    nodes: dict[int, Nodes]
    sizes: dict[int, tuple[int, ...]]
    activations: dict[int, np.ndarray]


class Program:
    """Runs the network once on a batch and takes each asked decision back to the input.

    Every function is traced once, for every batch size and every number of explanations.

    Args:
        graph: The model's calls.
        rules: Which rule serves which of them.
        limits: How many contributions the best paths follow; None to follow all paths.
        contrast: Whether what speaks against a decision counts as well; with all paths only.
        wanted: Numbers of the tensors whose nodes are brought back, besides those of the inputs and
            the last map; None for all that the best paths hold, for no others of all paths.
        keep_activations: Whether runs bring all activations back too, for checking.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Rules,
        limits: Limits | None,
        *,
        contrast: bool = False,
        wanted: Sequence[int] | None = None,
        keep_activations: bool = False,
    ) -> None:
        self.graph = graph
        self._rules, self._limits, self._contrast = rules, limits, contrast
        self._keep_activations = keep_activations
        self._sizes = Sizes(graph)
        self._may_be_read = may_be_read(graph)
        self._brought = {*graph.inputs, *_last_maps(graph), *(wanted or ())}
        self.paths: Paths
        if limits is None:
            self.paths = AllPaths(graph, rules, sorted(self._brought), contrast)
        else:
            self.paths = BestPaths(graph, rules, limits)
            if wanted is None:
                self._brought = set(graph.names)
        self._forwards: dict[int | None, Any] = {}
        self._starts: dict[int, OverActivations] = {}

    @property
    def traces(self) -> int:
        """How often TensorFlow has traced the network: once for each kind of question asked."""
        return len(self._forwards)

    def __call__(
        self, inputs: Sequence[tf.Tensor], image_index: np.ndarray, question: Question
    ) -> Run:
        """Explains one batch.

        Args:
            inputs: The batch of each of the model's inputs.
            image_index: (E,) which image each explanation is about.
            question: Which units of the output each explains.
        """
        forward = self._forward(self._units_to_start(question))
        # Looked at while the network runs, which leaves Python alone.
        constants = helpers().submit(self.paths.constants)
        kept = forward([tf.convert_to_tensor(values) for values in inputs])
        return self.back(kept, image_index, question, constants.result())

    def forward(self, inputs: Sequence[tf.Tensor]) -> Activations:
        """Runs the network alone, for `back` to explain one decision after another."""
        return self._forward(None)([tf.convert_to_tensor(values) for values in inputs])

    def back(
        self,
        kept: Activations,
        image_index: np.ndarray,
        question: Question,
        constants: list[np.ndarray] | None = None,
    ) -> Run:
        """As a call of the program, the network having run."""
        constants = self.paths.constants() if constants is None else constants
        image_index = np.asarray(image_index, np.int64)
        arrays, sizes = Arrays(kept.tensors), self._sizes.read(kept.sizes)
        output = arrays[self.graph.output]
        rows = output.reshape(len(output), -1)
        asked = answered(question, rows, image_index)
        batch = Batch(arrays, kept.tensors, sizes, len(output), image_index, constants)
        units = self._units_to_start(question)
        begun = self._start(batch, asked) if units else _at_output(self.graph, asked, rows)
        # There is no way back from what is no number; whoever asked sees it in the scores.
        is_number = np.isfinite(asked.scores).all()
        nowhere = Walked({}, 1 - begun.lost)
        walked = self.paths.back(batch, begun.nodes) if is_number else nowhere
        held = [(n, own) for part in (walked.nodes, begun.passed) for n, own in part.items()]
        lost = begun.lost + walked.lost
        self._check_mass(held, lost, sizes)
        nodes: dict[int, list[NodeArrays]] = {n: [] for n, _ in held if n in self._brought}
        for number, own in held:
            if number in nodes:
                nodes[number].append(own)
        return Run(
            targets=asked.targets,
            versus=asked.versus,
            scores=asked.scores,
            logits=begun.logits,
            lost=lost.astype(np.float32),
            nodes={n: Nodes(*(p[0] if len(p) == 1 else merge(p))) for n, p in nodes.items()},
            sizes=sizes,
            activations={n: t.numpy() for n, t in kept.tensors.items()}
            if self._keep_activations
            else {},
        )

    def _check_mass(self, held: list, lost: np.ndarray, sizes: dict) -> None:
        """Raises RuntimeError where mass of a decision has vanished or come from nowhere."""
        total = np.array(lost, np.float64)
        for number, nodes in held:
            if number in self.graph.inputs:
                explanation = nodes.index // math.prod(sizes[number])
                total += np.bincount(explanation, nodes.mass, len(total))
        wrong = np.flatnonzero(~(np.abs(total - 1) <= _ROUNDING))
        if len(wrong):
            raise RuntimeError(
                "The mass that arrives in the inputs and the mass that is lost must add up to 1. A "
                "rule may give mass to an input that is not followed, or an activation may have "
                f"overflowed. Received: {total[wrong[0]]:.6g} for decision {wrong[0]} of the batch."
            )

    def _units_to_start(self, question: Question) -> int:
        """Units of a question that is more than why single units are high or low; else 0."""
        units = len(question.unit)
        return units if self._contrast or units > 1 else 0

    def _start(self, batch: Batch, asked: Answered) -> Start:
        """Takes what is asked back to single nodes."""
        self._rules.packed_weights.refresh()
        size = batch.arrays[self.graph.output][0].size
        index = [
            tf.constant(asked.question.explanation * size + unit, tf.int64)
            for unit in asked.question.unit
        ]
        signs = [tf.fill([len(asked.mass)], float(sign)) for sign in asked.question.sign]
        given = Asked(index, signs, tf.constant(asked.mass))
        found = self._started(len(index))(batch.tensors, batch.image_tensor, given)
        nodes, passed = (
            {n: NodeArrays(*(field.numpy() for field in own)) for n, own in held.items()}
            for held in (found.nodes, found.passed)
        )
        logits = found.logits.numpy() if len(index) == 2 else _no_logits(len(batch.image_index))
        return Start(dict(sorted(nodes.items())), passed, logits, found.lost.numpy())

    def _started(self, units: int) -> OverActivations:
        if units not in self._starts:

            def begin(tensors: dict, image_index: tf.Tensor, asked: Asked) -> Start:
                rest = asked, self._limits, self._rules, self._contrast
                return start(self.graph, tensors, image_index, *rest)

            index, sign = tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.float32)
            more = index, Asked([index] * units, [sign] * units, sign)
            self._starts[units] = OverActivations(begin, self.graph, self._may_be_read, *more)
        return self._starts[units]

    def _forward(self, units: int | None) -> Any:
        """The network as a function of its inputs.

        Args:
            units: As from `_units_to_start`; None to keep all that any question may need.
        """
        if units not in self._forwards:
            specs = [any_batch(self.graph.specs[number]) for number in self.graph.inputs]
            replayed = partial(self._replayed, self._kept(units))
            # AutoGraph would rewrite every function the trace goes through, which takes seconds.
            function = tf.function(replayed, [specs], autograph=False)
            # Called as it is: to find the trace for some inputs takes half a millisecond.
            self._forwards[units] = function.get_concrete_function()
        return self._forwards[units]

    def _kept(self, units: int | None) -> list[int]:
        if self._keep_activations:
            return list(self.graph.names)
        if units is None:
            return self._may_be_read
        if not units:
            return sorted({self.graph.output, *self.paths.reads((self.graph.output,))})
        begin = self._started(units)
        below = self.paths.reads(tuple(sorted(begin.structured_outputs.nodes)))
        return sorted({self.graph.output, *begin.reads, *below})

    def _replayed(self, numbers: Sequence[int], inputs: list[tf.Tensor]) -> Activations:
        tensors = replay(self.graph, inputs)
        kept = {number: tf.identity(tensors[number]) for number in numbers}
        return Activations(kept, self._sizes.trace(tensors))


def _at_output(graph: Graph, asked: Answered, output: np.ndarray) -> Start:
    """Single units of the output, (N, units)."""
    index = asked.question.explanation * output.shape[1] + asked.question.unit[0]
    sign = np.full(len(index), asked.question.sign[0], np.float32)
    explanations = len(asked.targets)
    nodes = {graph.output: NodeArrays(index, sign, asked.mass)}
    return Start(nodes, {}, _no_logits(explanations), np.zeros(explanations))


def _no_logits(explanations: int) -> np.ndarray:
    return np.full((explanations, 2), np.nan, np.float32)


def _last_maps(graph: Graph) -> list[int]:
    """The last tensor that is a map of several cells, and those behind it that may be one."""
    numbers = [*graph.inputs, *(n for call in reached(graph) for n in call.outputs)]
    found = []
    for number in reversed(numbers):
        shape = graph.specs[number].shape[1:]
        if shape.rank == 3 and shape[:2] != [1, 1]:
            found.append(number)
            if None not in shape.as_list()[:2]:
                break
    return found
