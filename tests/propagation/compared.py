"""The comparison with the reference, node for node."""

from typing import Any, NamedTuple

import numpy as np

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.graph import Graph
from keras_backtrack.propagation import reference
from keras_backtrack.propagation.limits import NO_LIMITS, Limits
from keras_backtrack.propagation.program import Program, Run
from keras_backtrack.propagation.question import Question
from keras_backtrack.rules import Rules, read_model

_HEAVIEST = 100
_TOLERANCE = 1e-5
# Of what speaks for and against a question next to nothing may be ahead; what is rounded on the way
# is then as large as that.
_TOO_LITTLE = 100


class Asked(NamedTuple):
    """What is asked, and how.

    Attributes:
        targets: (N, K) units of the output.
        limits: How many contributions the best paths follow; None for all paths.
        versus: (N, K) units that these are told from; or None.
        method: As of `Program`; None for the best paths or all, as the limits say.
        contrast: As of `Program`.
        side: 1 or -1, or None for the predicted side of single units.
        together: Whether the K units of an image are explained together.
    """

    targets: np.ndarray
    limits: Limits | None
    versus: np.ndarray | None
    method: str
    contrast: float | None
    side: int | None
    together: bool

    @property
    def explanations(self) -> int:
        return len(self.targets) if self.together else self.targets.size

    @property
    def image(self) -> np.ndarray:
        """Which image each explanation is about."""
        return np.repeat(np.arange(len(self.targets)), self.explanations // len(self.targets))

    @property
    def question(self) -> Question:
        rows, units = np.arange(self.explanations), [self.targets.reshape(-1)]
        if self.together:
            rows = np.repeat(rows, self.targets.shape[1])
            units = [np.sort(self.targets, axis=1).reshape(-1)]
        if self.versus is not None:
            return Question(rows, [*units, self.versus.reshape(-1)], [1, -1])
        return Question(rows, units, [self.side or 1], is_predicted=self.side is None)

    def of(self, row: int) -> reference.Asked:
        units = self.targets[row] if self.together else [self.targets.reshape(-1)[row]]
        versus = None if self.versus is None else int(self.versus.reshape(-1)[row])
        side = self.side if versus is None else 1
        return reference.Asked(tuple(map(int, units)), versus, side, self.contrast)


def assert_equals_reference(
    model,
    x: Any,
    targets: np.ndarray,
    limits: Limits | None,
    versus: np.ndarray | None = None,
    *,
    method: str | None = None,
    contrast: float | None = None,
    side: int | None = 1,
    together: bool = False,
) -> None:
    """Node for node at every layer, masses within 1e-5, on the activations the fast path had.

    Args:
        model: A model with one output.
        x: Its input, or a list of several.
        targets, limits, versus, method, contrast, side, together: As of `Asked`.
    """
    method = method or ("posterior" if limits is None else "viterbi")
    asked = Asked(targets, limits, versus, method, contrast, side, together)
    x = x if isinstance(x, list) else [x]
    graph = read_model(model)
    settings = {"method": method, "contrast": contrast, "wanted": list(graph.names)}
    program = Program(graph, Rules(), limits or NO_LIMITS, **settings, keep_activations=True)
    result = program(x, asked.image, asked.question)
    for row in range(asked.explanations):
        _assert_row(model, graph, result, asked, row, [v[asked.image[row]] for v in x])


def assert_right(model, x: np.ndarray, method: str, tolerance: float = 1e-5) -> None:
    """With contrast and without as the reference; scores are the model's, and no mass is missed.

    Args:
        model: A model with one output of three units.
        x: Its input.
        method: As of `BacktrackExplainer`.
        tolerance: Of scores, as a share.
    """
    limits = None if method == "posterior" else Limits(3, 2, 2, False)
    for contrast in (None, 0.25):
        targets = np.array([[2]] * len(x))
        assert_equals_reference(model, x, targets, limits, method=method, contrast=contrast)
    e = BacktrackExplainer(model, method=method).explain(x)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0).max(-1), rtol=tolerance)
    np.testing.assert_allclose([sum(m) for m in e.mass] + e.lost, 1, atol=1e-5)


def _assert_row(
    model, graph: Graph, result: Run, asked: Asked, row: int, images: list[np.ndarray]
) -> None:
    image, begun = asked.image[row], {}
    # What has no row for each image is the same for all.
    activations = {n: a[image if len(a) > 1 else 0] for n, a in result.activations.items()}

    def begin(number: int, nodes: reference.Memory) -> reference.Memory:
        """What the fast path began with: which nodes are the heaviest may be due to rounding."""
        begun[number] = nodes
        own = memory(result, number, row)
        return reference.heaviest(own) if asked.method == "backtrack" else own

    is_all = asked.method == "posterior"
    paths = reference.ALL_PATHS if is_all else reference.Paths(*asked.limits)
    is_both = asked.method == "backtrack"
    question = asked.of(row)
    want = reference.backtrack(
        model, images, question, paths, activations, is_both=is_both, begin=begin
    )
    if want.scale > _TOO_LITTLE:
        return
    close = Close(asked, max(1.0, want.scale / 4))
    for number, nodes in begun.items():
        own, name = memory(result, number, row), graph.names[number]
        (close.assert_nodes if is_both else close.assert_heaviest)(name, own, nodes)
    reached = 0.0
    for number, name in graph.names.items():
        got = memory(result, number, row)
        if number in graph.inputs:
            reached += sum(got.values())
        # What the question came by on its way to the last map.
        is_above = asked.contrast is not None and number == graph.output
        if number not in begun and not (is_above and name not in want.nodes):
            close.assert_nodes(name, got, want.nodes.get(name, {}))
    lost = result.lost[row]
    assert abs(lost - want.lost) <= close.tolerance, f"lost {lost}, expected {want.lost}"
    assert abs(reached + lost - 1) <= 1e-4


class Close:
    """Compares nodes by what rounding may do to them.

    Args:
        asked: The question.
        scale: How many times the tolerance.
    """

    def __init__(self, asked: Asked, scale: float) -> None:
        self.tolerance = scale * _TOLERANCE
        self._least = 0.0
        # What rounding leaves of two equal masses.
        self._may_cancel = asked.contrast is not None and asked.method != "viterbi"
        if self._may_cancel:
            self._least = self.tolerance / 2
        elif asked.method != "viterbi":
            # Split often enough, mass gets too small for float32.
            self._least = 1e-30

    def assert_nodes(self, name: str, got: reference.Memory, expected: reference.Memory) -> None:
        got, expected = (
            {node: m for node, m in held.items() if m > self._least} for held in (got, expected)
        )
        if self._may_cancel:
            got = {node: got.get(node, 0.0) for node in {*got, *expected}}
            expected = {node: expected.get(node, 0.0) for node in got}
        differ = {n: (got.get(n), expected.get(n)) for n in set(got) ^ set(expected)}
        assert not differ, f"nodes at {name}, (got, expected): {differ}"
        for node, mass in expected.items():
            difference = abs(got[node] - mass)
            assert difference <= self.tolerance, f"{name}, {node}: {got[node]}, expected {mass}"

    def assert_heaviest(self, name: str, got: reference.Memory, nodes: reference.Memory) -> None:
        """That some nodes, with the mass of all, may be the heaviest ones."""
        assert len(got) <= _HEAVIEST
        share = sum(nodes.values()) / (sum(nodes.get(node, 0.0) for node in got) or 1.0)
        for node, mass in got.items():
            assert abs(mass - nodes.get(node, 0.0) * share) <= self.tolerance * share, (
                name,
                node,
                mass,
                nodes.get(node),
                share,
            )
        lightest = 0.0
        if len(got) == _HEAVIEST:
            lightest = min(nodes.get(node, 0.0) for node in got)
        for node, mass in nodes.items():
            assert node in got or mass <= lightest + self.tolerance, (name, node, mass, lightest)


def memory(result: Run, number: int, row: int) -> reference.Memory:
    """What the fast path held at a tensor for one explanation, in the reference's form."""
    if number not in result.nodes:
        return {}
    index, sign, mass = result.nodes[number]
    shape = result.sizes[number]
    size = int(np.prod(shape))
    mine = index // size == row
    places = np.stack(np.unravel_index(index[mine] % size, shape), axis=1).tolist()
    keys = [(tuple(p), int(s)) for p, s in zip(places, sign[mine], strict=True)]
    assert len(set(keys)) == len(keys), "nodes must be merged"
    return dict(zip(keys, mass[mine].tolist(), strict=True))
