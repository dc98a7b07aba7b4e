"""The rule of each call of a graph, and what is said of calls that have none."""

from dataclasses import replace

import tensorflow as tf

from ..graph.errors import UnsupportedLayerError
from ..graph.graph import Call, Graph
from ..graph.recording import is_recurrent
from .activations import is_elementwise
from .contributions import Contributions
from .fallback import gradient
from .packed_weights import PackedWeights
from .registry import Rule, entry_of, followed, is_built_in, nowhere, reached
from .suits import unsuited
from .traced_call import TracedCall


class Rules:
    """The rule of each call of a graph.

    Args:
        fallback: `"gradient"` to serve calls without a rule by their gradient; None to refuse them.

    Attributes:
        packed_weights: What rules keep from one call of a program to the next.
    """

    def __init__(self, fallback: str | None = None) -> None:
        self._fallback = fallback
        self.packed_weights = PackedWeights()

    def check(self, graph: Graph) -> None:
        """Raises `UnsupportedLayerError` that lists every call without a rule, if there is one."""
        problems = self._problems(graph)
        if problems:
            raise UnsupportedLayerError(
                "These layers between the input and the output have no rule. Each can be given "
                "one: `@keras_backtrack.register_rule(TheLayerClass)` above a function that says "
                "what the layer's output is made of (its docstring has an example). Or let "
                "`fallback='gradient'` serve them by their local gradient. Received:\n"
                + "\n".join(problems)
            )

    def trace(
        self, graph: Graph, call: Call, position: int, tensors: dict[int, tf.Tensor]
    ) -> TracedCall:
        """A call as its rule wants to see it, asked about one of its outputs."""
        numbers = dict.fromkeys([*call.inputs, call.outputs[position]])
        own = call.apart({number: tensors[number] for number in numbers})
        inputs, output = [own[number] for number in call.inputs], own[call.outputs[position]]
        alone = replace(call, folded={}) if call.folded else call
        follows = followed(graph, call)
        return TracedCall(
            alone, position, inputs, output, follows, self.packed_weights, rows=call.rows
        )

    def ask(self, call: TracedCall) -> Contributions:
        """Asks the rule of a call for its contributions."""
        if not any(call.followed):
            return nowhere(call)
        rule, problem = self._find(call.call)
        if rule is None:
            raise UnsupportedLayerError(f"{call.call.describe()}: {problem}")
        found = rule(call)
        if not isinstance(found, Contributions):
            raise TypeError(
                "A rule must return Same, Moves, Branches, a Sum, Product or Loop. "
                f"Received: {found!r} for {call.call.describe()}."
            )
        return found

    def name(self, call: Call) -> str:
        """Name of the function that is a call's rule."""
        rule, _ = self._find(call)
        if rule is None:
            return "none"
        module = str(getattr(rule, "__module__", None)).split(".")[-1]
        return f"{module}.{getattr(rule, '__name__', repr(rule))}"

    def table(self, graph: Graph) -> str:
        """A graph's calls in the order they run: the name, the kind and the rule of each."""
        lines = [(call.name, call.kind, self.name(call)) for call in graph.calls]
        widths = [max(len(line[column]) for line in lines) for column in range(2)]
        return "\n".join(f"{n:{widths[0]}}  {k:{widths[1]}}  {rule}" for n, k, rule in lines)

    def _problems(self, graph: Graph) -> list[str]:
        problems = []
        for call in reached(graph):
            if not any(followed(graph, call)):
                continue
            rule, problem = self._find(call)
            if rule is None:
                place = f"call {graph.calls.index(call) + 1} of {len(graph.calls)}"
                problems.append(f"  {place}: {call.describe()}: {problem}")
            elif call.cell is not None and rule is not gradient:
                problems.extend(self._problems(call.cell))
        return problems

    def _find(self, call: Call) -> tuple[Rule | None, str]:
        """The rule of a call's layer; or None and what stands in the way."""
        entry, problem = entry_of(call.layer)
        rule = None if entry is None else entry.rule
        if rule is not None and is_built_in(rule):
            rule, problem = _suits_built_in(call, rule)
        if rule is None and self._fallback == "gradient":
            return gradient, ""
        problem += f"; {call.unopened}" if problem and call.unopened else ""
        return rule, problem


def _suits_built_in(call: Call, rule: Rule) -> tuple[Rule | None, str]:
    """What our own rules take for granted about a layer's settings."""
    layer = call.layer
    activation = getattr(layer, "activation", None)
    if not is_elementwise(activation):
        return None, f"its activation {activation!r} is not known to act on each unit alone"
    problem = unsuited(layer)
    if problem:
        return None, problem
    if is_recurrent(layer):
        if call.cell is None:
            return None, "what its cell does cannot be recorded"
        if getattr(layer, "stateful", False) or getattr(layer, "time_major", False):
            return None, "stateful=True or time_major=True"
        if getattr(layer, "data_format", None) == "channels_first":
            return None, "data_format='channels_first' in a recurrent layer"
    return rule, ""
