"""Forward pass by TensorFlow, then the walk along the best paths in machine code."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph
from ...rules import Rules, reached
from ..contrast.start import start_pairs
from ..kernels import NodeArrays, helpers, merge, ordered
from ..limits import Limits
from ..nodes import Nodes
from ..program import Kept, Roots, Run, Sizes, replay
from .lowering import State
from .schedule import Plan


class BestPaths:
    """Runs the network once on a batch and walks each asked decision back to the input.

    The forward pass is traced once for every batch size, and so are the steps that TensorFlow
    takes; the others need no trace.

    Args:
        graph: The model's calls.
        rules: Which rule serves which of them.
        limits: How many contributions the walk follows.
        wanted: Numbers of the tensors whose nodes are brought back; None for all.
        keep_activations: Whether runs bring all activations back too, for checking.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Rules,
        limits: Limits,
        wanted: Sequence[int] | None = None,
        keep_activations: bool = False,
    ) -> None:
        self.graph = graph
        self._rules, self._limits = rules, limits
        self._wanted = wanted
        self._keep_activations = keep_activations
        calls = reached(graph)
        outputs = [number for call in calls for number in call.outputs]
        self._reached = [*graph.inputs, *outputs]
        read = {number for call in calls for number in call.inputs}
        self._all = sorted({graph.output, *self._reached, *read})
        self._sizes = Sizes(graph)
        self._traces: list[tf.types.experimental.GenericFunction] = []

    @cached_property
    def _plan(self) -> Plan:
        return Plan(self.graph, self._rules, self._limits)

    @cached_property
    def _forward(self) -> tf.types.experimental.ConcreteFunction:
        """For a walk from units of the output."""
        numbers = list(self.graph.names) if self._keep_activations else self._plan.reads
        return self._replaying(numbers)

    @cached_property
    def _forward_whole(self) -> tf.types.experimental.ConcreteFunction:
        """For all there may be asked later: bare activations that any rule may read."""
        return self._replaying(list(self.graph.names) if self._keep_activations else self._all)

    @cached_property
    def _start(self) -> tf.types.experimental.GenericFunction:
        """Takes differences of two units back to single nodes."""
        kept = self._forward_whole.structured_outputs
        specs = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), kept.tensors)
        return self._traced(self._trace_start, [specs, [tf.TensorSpec([None], tf.int64)] * 3])

    @property
    def traces(self) -> int:
        """How often TensorFlow has traced the network: 1 after the first run, and for good; twice
        more after the first with differences of units."""
        return sum(function.experimental_get_tracing_count() for function in self._traces)

    def __call__(self, inputs: Sequence[tf.Tensor], owner: np.ndarray, roots: Roots) -> Run:
        """Explains one batch.

        Args:
            inputs: The batch of each of the model's inputs.
            owner: (E,) which image each explanation is about.
            roots: Which units of the output each explains.
        """
        forward = self._forward if roots.versus is None else self._forward_whole
        # Looked at while the network runs, which leaves Python alone.
        constants = helpers().submit(self._plan.constants)
        return self._back(self._run(forward, inputs), owner, roots, constants.result())

    def forward(self, inputs: Sequence[tf.Tensor]) -> Kept:
        """Runs the network alone, for `back` to explain one decision after another."""
        return self._run(self._forward_whole, inputs)

    def _run(self, function, inputs: Sequence[tf.Tensor]) -> Kept:
        return function([tf.convert_to_tensor(values) for values in inputs])

    def back(self, kept: Kept, owner: np.ndarray, roots: Roots) -> Run:
        """As a call of the program, the network having run."""
        return self._back(kept, owner, roots, self._plan.constants())

    def _back(
        self, kept: Kept, owner: np.ndarray, roots: Roots, constants: list[np.ndarray]
    ) -> Run:
        sizes = self._sizes.read(kept.sizes)
        owner = np.asarray(owner, np.int64)
        state = State(
            _Arrays(kept.tensors),
            kept.tensors,
            sizes,
            owner,
            tf.constant(owner, tf.int64),
            constants,
        )
        output = state.arrays[self.graph.output]
        output = output.reshape(len(output), -1)
        unit, versus = _units(output, owner, roots)
        count = np.bincount(roots.explanation, minlength=len(owner))
        mass = (1 / count[roots.explanation]).astype(np.float32)
        scores = output[owner[roots.explanation], unit]
        targets = np.full(len(owner), -1, np.int64)
        np.maximum.at(targets, roots.explanation, unit)
        passed: dict[int, NodeArrays] = {}
        lost = np.zeros(len(owner))
        if versus is None:
            index = roots.explanation * output.shape[1] + unit
            start = {self.graph.output: NodeArrays(index, np.ones_like(mass), mass)}
            logits = np.full((len(owner), 2), np.nan, np.float32)
        else:
            self._rules.layouts.refresh()
            parted = self._start(kept.tensors, [state.owner_tensor, unit, versus])
            start, passed = map(_to_arrays, (parted.nodes, parted.passed))
            logits, lost = parted.logits.numpy(), lost + parted.lost.numpy()
        held, ended = self._walk(start, state)
        for number, nodes in passed.items():
            held[number] = merge([held[number], nodes]) if number in held else nodes
        wanted = self._brought(state.sizes)
        return Run(
            targets=np.where(count == 1, targets, -1),
            versus=np.full(len(owner), -1, np.int64) if versus is None else versus,
            scores=np.bincount(roots.explanation, scores * mass, len(owner)).astype(np.float32),
            logits=logits,
            lost=(lost + ended).astype(np.float32),
            nodes={n: Nodes(*nodes) for n, nodes in held.items() if n in wanted},
            sizes=state.sizes,
            activations={n: t.numpy() for n, t in kept.tensors.items()}
            if self._keep_activations
            else {},
        )

    def _walk(
        self, roots: dict[int, NodeArrays], state: State
    ) -> tuple[dict[int, NodeArrays], np.ndarray]:
        """Walks from nodes at some tensors to the graph's inputs.

        Returns:
            The nodes at each tensor, and the (E,) mass that ended.
        """
        arriving = defaultdict(list, {n: [ordered(nodes)] for n, nodes in roots.items()})
        # Tensors where nodes arrived as they were, so that they need no merging if they are the
        # only ones.
        settled = set(roots)
        held, lost = {}, np.zeros(len(state.owner))
        for step in self._plan.steps:
            number = step.call.outputs[step.position]
            if number not in arriving:
                continue
            held[number] = nodes = _merged(arriving.pop(number), number in settled)
            parts, ended = step.take(nodes, state)
            if ended is not None:
                lost += ended
            for read, follow, part in zip(step.call.inputs, step.followed, parts, strict=True):
                if follow:
                    arriving[read].append(part)
                    if step.stays:
                        settled.add(read)
        for number in self.graph.inputs:
            if number in arriving:
                held[number] = _merged(arriving[number], number in settled)
        return held, lost

    def _brought(self, sizes: dict[int, tuple[int, ...]]) -> set[int]:
        """Numbers of the tensors whose nodes are brought back."""
        if self._wanted is None:
            return set(self.graph.names)
        maps = [n for n in self._reached if len(sizes[n]) == 3 and sizes[n][:2] != (1, 1)]
        return {*self.graph.inputs, *maps[-1:], *self._wanted}

    def _traced(self, function, *signature) -> tf.types.experimental.GenericFunction:
        # AutoGraph would rewrite every function the trace goes through, which takes seconds.
        traced = tf.function(function, *signature, autograph=False)
        self._traces.append(traced)
        return traced

    def _replaying(self, numbers: Sequence[int]) -> tf.types.experimental.ConcreteFunction:
        """The network as a function that returns some activations and the sizes that vary."""
        specs = [self.graph.specs[number] for number in self.graph.inputs]
        inputs = [tf.TensorSpec([None, *spec.shape[1:]], spec.dtype) for spec in specs]
        # Called as it is: to find the trace for some inputs takes half a millisecond.
        return self._traced(partial(self._replay, numbers), [inputs]).get_concrete_function()

    def _replay(self, numbers: Sequence[int], inputs: list[tf.Tensor]) -> Kept:
        tensors = replay(self.graph, inputs)
        kept = {number: tf.identity(tensors[number]) for number in numbers}
        return Kept(kept, self._sizes.trace(tensors))

    def _trace_start(self, tensors: dict[int, tf.Tensor], asked: list[tf.Tensor]):
        return start_pairs(self.graph, tensors, *asked, self._limits, self._rules)


class _Arrays(dict):
    """Activations as float32 arrays, each made when it is first asked for."""

    def __init__(self, tensors: dict[int, tf.Tensor]) -> None:
        self._tensors = tensors

    def __missing__(self, number: int) -> np.ndarray:
        tensor = self._tensors[number]
        if tensor.dtype is not tf.float32:
            tensor = tf.cast(tensor, tf.float32)
        array = np.asarray(tensor)
        self[number] = array
        return array


def _units(
    output: np.ndarray, owner: np.ndarray, roots: Roots
) -> tuple[np.ndarray, np.ndarray | None]:
    """The units asked about, and those they are told from, ranks replaced by what has them."""
    unit = np.asarray(roots.unit, np.int64)
    image = owner[roots.explanation]
    ranks = max(1, -int(unit.min()))
    if ranks == 1:
        ranked = output.argmax(axis=1)[:, None]
    else:
        ranked = np.argsort(-output, axis=1, kind="stable")[:, :ranks]
    unit = np.where(unit < 0, ranked[image, np.maximum(-unit, 1) - 1], unit)
    if roots.versus is None:
        return unit, None
    versus = np.asarray(roots.versus, np.int64)
    return unit, np.where(versus < 0, ranked[image, 0], versus)


def _to_arrays(nodes: dict[int, Nodes]) -> dict[int, NodeArrays]:
    return {n: NodeArrays(*(field.numpy() for field in held)) for n, held in nodes.items()}


def _merged(parts: list[NodeArrays], settled: bool) -> NodeArrays:
    return parts[0] if settled and len(parts) == 1 else merge(parts)
