"""The program of every method: the network forward, the question resolved, the decision back."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..graph.graph import Graph
from ..graph.layout import places_first
from ..rules import Rules, reached
from .activations import Activations, Arrays, Sizes, replay
from .all_paths.all_paths import AllPaths
from .backtrack.all_then_best import AllThenBest
from .best_paths.best_paths import BestPaths
from .complete import check_mass, overflown
from .contrast.ahead import Begun, ahead, begin
from .contrast.start import Start, start
from .fused import Fused
from .kernels import NodeArrays, helpers, merge
from .landmarks import Landmarks, cuts, landmarks
from .limits import Limits
from .nodes import Asked, Nodes, Walked
from .over_activations import OverActivations, any_batch, may_be_read
from .paths import Batch, Paths
from .question import Answered, Question, answered


class Run(NamedTuple):
    """What one batch's run brings back, as NumPy arrays.

    Attributes:
        targets: (E,) int64, the explained unit of the output, -1 where there are several.
        versus: (E,) int64, the unit it is contrasted with, -1 where there is none.
        scores: (E,) float32, the target's value, or the mean of their values.
        logits: (E, 2) float32, the values of both units behind the output's activation; NaN where
            there is no contrast.
        sides: (E,) float32, +1 where the explained unit is asked why it is high, -1 why it is low.
        lost: (E,) float32, mass of the paths that ended before the input.
        ended: By tensor number, (E,) float32, the part of it that ended there. The rest was lost
            before single nodes began, or where mass below 0 outweighed it.
        nodes: By tensor number, the nodes held there; absent where there were none.
        sizes: By tensor number, the sizes of its axes after the batch axis.
        activations: By tensor number, its activation; empty unless asked for.
        overflown: Where a score is no finite number, what is known of where that began.
    """

    targets: np.ndarray
    versus: np.ndarray
    scores: np.ndarray
    logits: np.ndarray
    sides: np.ndarray
    lost: np.ndarray
    ended: dict[int, np.ndarray]
    nodes: dict[int, Nodes]
    sizes: dict[int, tuple[int, ...]]
    activations: dict[int, np.ndarray]
    overflown: str


class _Kind(NamedTuple):
    """What functions are traced for: a question's units, and whether its side is the predicted."""

    units: int
    is_predicted: bool


class _All(NamedTuple):
    """All that any question may need."""


_ALL = _All()


class Program:
    """Runs the network once on a batch and takes each asked decision back to the input.

    Every function is traced once, for every batch size and every number of explanations.

    Args:
        graph: The model's calls.
        rules: Which rule serves which of them.
        limits: How many contributions the best paths follow.
        method: Which paths are followed: the best (`"viterbi"`), all (`"posterior"`), or all down
            to the fine layers and the best from there (`"backtrack"`).
        contrast: What a place of the last map must be ahead of, as a share of the mean over places;
            None to ask without contrast.
        wanted: Numbers of the tensors whose nodes are brought back, besides those of the inputs and
            the last map; None for all that the best paths hold, for no others of all paths.
        until: Number of the tensor where the way back ends, as one of `cuts`; None to go down to
            the inputs.
        keep_activations: Whether runs bring all activations back too, for checking.

    Attributes:
        paths: The way back.
        walk: The part of it that follows the best paths, if any.
        fine_layers: By number of an input that of the tensor where all paths become the best.
        ends: By number of an input that of the tensor where the way to it ends before.
        landmarks: Of the graph.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Rules,
        limits: Limits,
        *,
        method: str,
        contrast: float | None,
        wanted: Sequence[int] | None = None,
        until: int | None = None,
        keep_activations: bool = False,
    ) -> None:
        self.graph = graph
        way = graph if until is None else graph.above(until)
        self._way, self._ends = way, {*graph.inputs, *way.inputs}
        self.ends = {s: until for s in graph.inputs if until in cuts(graph, s)} if until else {}
        needs_landmarks = method == "backtrack" or contrast is not None
        self.landmarks = landmarks(graph, rules) if needs_landmarks else Landmarks({}, {})
        self._rules, self._keep_activations = rules, keep_activations
        self._limits = limits if method == "viterbi" else None
        # Best paths through networks without maps have no place to begin at but the output.
        has_start = self._limits is None or self.landmarks.last_maps
        self._contrast = contrast if has_start else None
        self._sizes, self._fused = Sizes(graph), Fused(graph, rules.packed_weights)
        self._may_be_read = may_be_read(way)
        fine = {} if method != "backtrack" else self.landmarks.fine_layers
        self.fine_layers = {s: n for s, n in fine.items() if way.maker(n) is not None}
        meet = set(self.fine_layers.values())
        brought = {*self._ends, *_last_maps(graph), *meet, *(wanted or ())}
        is_signed = self._contrast is not None
        self.paths: Paths
        self.walk: BestPaths | None = None
        if method == "viterbi":
            begins = self.landmarks.last_maps.values() if is_signed else ()
            self.paths = self.walk = BestPaths(way, rules, limits, begins)
        elif meet:
            self.paths = both = AllThenBest(way, rules, limits, meet, brought, is_signed)
            self.walk = both.best
        else:
            self.paths = AllPaths(way, rules, brought, (), is_signed)
        last_maps = self.landmarks.last_maps.values()
        self._to_last_maps = AllPaths(way, rules, until=last_maps)
        # To hand many tensors over takes milliseconds. With contrast a question ends above the last
        # maps, if not at the output itself.
        ends = [n for n in last_maps if n != graph.output and self._contrast is not None]
        self._may_start = may_be_read(way.above(*ends)) if ends else self._may_be_read
        holds_all = self.walk is not None and wanted is None
        self._brought = set(graph.names) if holds_all else brought
        self._forwards: dict[Any, Any] = {}
        self._starts: dict[Any, OverActivations] = {}

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

        Raises:
            RuntimeError: As `check_mass`.
        """
        kept = self._run(self._kind(question), inputs)
        return self.back(kept, image_index, question, inputs)

    def forward(self, inputs: Sequence[tf.Tensor]) -> Activations:
        """Runs the network alone, for `back` to explain one decision after another."""
        return self._run(_ALL, inputs)

    def _run(self, kind: "_Kind | _All | None", inputs: Sequence[tf.Tensor]) -> Activations:
        forward = self._forward(kind)
        given = [tf.convert_to_tensor(values) for values in inputs]
        # That weights are what they were is found out while it runs, which leaves Python alone.
        changed = helpers().submit(self._rules.packed_weights.refresh)
        kept = forward(given)
        return forward(given) if changed.result() else kept

    def back(
        self,
        kept: Activations,
        image_index: np.ndarray,
        question: Question,
        inputs: Sequence[tf.Tensor] | None = None,
    ) -> Run:
        """As a call of the program, the network having run."""
        image_index = np.asarray(image_index, np.int64)
        arrays, sizes = Arrays(kept.tensors), self._sizes.read(kept.sizes)
        output = arrays[self.graph.output]
        rows = output.reshape(len(output), -1)
        asked = answered(question, rows, image_index)
        batch = Batch(arrays, kept.tensors, sizes, len(output), image_index, self.paths.constants())
        begun = _at_output(self.graph, asked, rows)
        if self._kind(question):
            begun = self._start(batch, asked)
        # There is no way back from what is no number; whoever asked is told which layer made it.
        is_number = np.isfinite(asked.scores).all()
        nowhere = Walked({}, 1 - begun.lost)
        walked = self.paths.back(batch, begun.nodes) if is_number and begun.nodes else nowhere
        held = [(n, own) for part in (walked.nodes, begun.passed) for n, own in part.items()]
        lost = begun.lost + walked.lost
        if is_number:
            check_mass(held, lost, sizes, self._ends, lambda: self._overflown(kept, inputs))
        nodes: dict[int, list[NodeArrays]] = {n: [] for n, _ in held if n in self._brought}
        for number, own in held:
            if number in nodes:
                nodes[number].append(own)
        return Run(
            targets=asked.targets,
            versus=asked.versus,
            scores=asked.scores,
            logits=begun.logits,
            sides=begun.side,
            lost=np.maximum(lost, 0).astype(np.float32),
            ended={n: mass.astype(np.float32) for n, mass in walked.ended.items() if mass.any()},
            nodes={n: Nodes(*(p[0] if len(p) == 1 else merge(p))) for n, p in nodes.items()},
            sizes=sizes,
            activations={n: t.numpy() for n, t in kept.tensors.items()}
            if self._keep_activations
            else {},
            overflown="" if is_number else self._overflown(kept, inputs),
        )

    def _overflown(self, kept: Activations, inputs: Sequence[tf.Tensor] | None) -> str:
        """Where numbers stop being finite: in the network run anew, or in what is kept of a run."""
        if inputs is None:
            return overflown(self.graph, kept.tensors)
        given = [tf.convert_to_tensor(values) for values in inputs]
        return overflown(self.graph, replay(self.graph, given))

    def _kind(self, question: Question) -> "_Kind | None":
        """What a question is that is more than why single units are high or low."""
        shape = self.graph.specs[self.graph.output].shape[1:]
        is_predicted = question.is_predicted and shape.num_elements() == 1
        units = len(question.unit)
        is_more = self._contrast is not None or units > 1 or is_predicted
        return _Kind(units, is_predicted) if is_more else None

    def _start(self, batch: Batch, asked: Answered) -> Start:
        """Takes what is asked back to single nodes."""
        question = asked.question
        size = batch.arrays[self.graph.output][0].size
        index = [
            tf.constant(question.explanation * size + unit, tf.int64) for unit in question.unit
        ]
        roots = np.shape(asked.mass)
        signs = [tf.constant(np.broadcast_to(np.float32(sign), roots)) for sign in question.sign]
        given = Asked(index, signs, tf.constant(asked.mass))
        kind = self._kind(question)
        assert kind is not None
        found = self._started(kind)(batch.tensors, batch.image_tensor, given)
        explanations, passed = len(batch.image_index), _as_arrays(found.passed)
        if self._contrast is None:
            nodes, lost = _as_arrays(found.nodes), found.lost.numpy()
        else:
            way = self.graph, batch, found.sides, self._to_last_maps
            nodes, lost = ahead(*way, self._contrast)
        logits = _no_logits(explanations)
        if kind.units == 2:
            by_unit = found.logits.numpy().T
            means = [
                np.bincount(question.explanation, own * asked.mass, explanations) for own in by_unit
            ]
            logits = np.stack(means, axis=1).astype(np.float32)
        sides = _sides_of(asked)
        if kind.is_predicted:
            sides[question.explanation] *= found.side.numpy()
        if self._contrast is not None and self.paths is self.walk:
            # A walk is of what is ahead; all of it is, or nothing.
            nodes = {n: own.where(own.mass > 0) for n, own in nodes.items()}
            lost = 1 + lost
            for number, own in nodes.items():
                owner = own.index // math.prod(batch.sizes[number])
                lost -= np.bincount(owner, own.mass, explanations)
        return Start(dict(sorted(nodes.items())), passed, logits, lost, sides)

    def _started(self, kind: "_Kind") -> OverActivations:
        if kind not in self._starts:

            def started(tensors: dict, image_index: tf.Tensor, asked: Asked) -> Start | Begun:
                given = self._way, tensors, image_index, asked, self._rules
                if self._contrast is None:
                    return start(*given, self._limits, kind.is_predicted)
                return begin(*given, kind.is_predicted)

            index, sign = tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.float32)
            more = index, Asked([index] * kind.units, [sign] * kind.units, sign)
            self._starts[kind] = OverActivations(started, self.graph, self._may_start, *more)
        return self._starts[kind]

    def _forward(self, kind: "_Kind | _All | None") -> Any:
        """The network as a function of its inputs.

        Args:
            kind: As from `_kind`; `_ALL` to keep all that any question may need.
        """
        if kind not in self._forwards:
            specs = [any_batch(self.graph.specs[number]) for number in self.graph.inputs]
            replayed = partial(self._replayed, self._kept(kind))
            # AutoGraph would rewrite every function the trace goes through, which takes seconds.
            function = tf.function(replayed, [specs], autograph=False)
            # Called as it is: to find the trace for some inputs takes half a millisecond.
            self._forwards[kind] = function.get_concrete_function()
        return self._forwards[kind]

    def _kept(self, kind: "_Kind | _All | None") -> list[int]:
        if self._keep_activations:
            return list(self.graph.names)
        if isinstance(kind, _All):
            return self._may_be_read
        if kind is None:
            return sorted({self.graph.output, *self.paths.reads((self.graph.output,))})
        started = self._started(kind)
        made, above = started.structured_outputs, []
        if self._contrast is None:
            begins = made.nodes
        else:
            sums = tuple(sorted(made.sides))
            begins, above = self._to_last_maps.ends(sums), self._to_last_maps.reads(sums)
        below = self.paths.reads(tuple(sorted(begins)))
        return sorted({self.graph.output, *started.reads, *above, *below})

    def _replayed(self, numbers: Sequence[int], inputs: list[tf.Tensor]) -> Activations:
        tensors = replay(self.graph, inputs, self._fused.instead(numbers))
        kept = {number: tf.identity(tensors[number]) for number in numbers}
        return Activations(kept, self._sizes.trace(tensors))


def _at_output(graph: Graph, asked: Answered, output: np.ndarray) -> Start:
    """Single units of the output, (N, units)."""
    index = asked.question.explanation * output.shape[1] + asked.question.unit[0]
    sign = np.broadcast_to(np.float32(asked.question.sign[0]), np.shape(index))
    explanations = len(asked.targets)
    nodes = {graph.output: NodeArrays(index, sign, asked.mass)}
    sides = _sides_of(asked)
    return Start(nodes, {}, _no_logits(explanations), np.zeros(explanations), sides)


def _sides_of(asked: Answered) -> np.ndarray:
    """(E,) float32, what the first unit of each explanation counts with."""
    sides = np.ones(len(asked.targets), np.float32)
    sides[asked.question.explanation] = asked.question.sign[0]
    return sides


def _as_arrays(held: dict[int, Nodes]) -> dict[int, NodeArrays]:
    return {n: NodeArrays(*(field.numpy() for field in own)) for n, own in held.items()}


def _no_logits(explanations: int) -> np.ndarray:
    return np.full((explanations, 2), np.nan, np.float32)


def _last_maps(graph: Graph) -> list[int]:
    """The last tensor that is a map of several cells, and those behind it that may be one."""
    numbers = [*graph.inputs, *(n for call in reached(graph) for n in call.outputs)]
    found = []
    for number in reversed(numbers):
        shape = places_first(tuple(graph.specs[number].shape[1:]), number in graph.channels_first)
        if len(shape) == 3 and shape[:2] != (1, 1):
            found.append(number)
            if None not in shape[:2]:
                break
    return found
