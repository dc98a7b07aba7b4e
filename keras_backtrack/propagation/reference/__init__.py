"""The paper's algorithms as plain loops over NumPy arrays: the oracle and the baseline.

Nothing here is shared with the fast path but the list of calls. M is a dictionary: a node is
`(place, sign)`, the place a tuple of coordinates, and its value is its mass. Each rule takes one
node and returns its children with their shares, which add up to 1, or to less where paths end.

All arithmetic on contributions is in float32, and a window's products are added up position by
position in row-major order, so that ties and near ties fall as they do on the fast path.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.compat import keras
from ...graph.graph import Graph
from ...rules import read_model
from .ahead import Ahead, ahead, heaviest, left_over
from .evidence import logit
from .landmarks import Landmarks
from .layout import channels_first
from .plain_call import READ, Combination, Memory, Paths, Place
from .walk import Walked, walk

__all__ = ["ALL_PATHS", "Asked", "Memory", "Paths", "Reference", "backtrack", "heaviest"]

# The posterior: every positive contribution of every unit.
ALL_PATHS = Paths(None, None, None, all_paths=True)

Begin = Callable[[int, Memory], Memory]


class Asked(NamedTuple):
    """What is asked about an output.

    Attributes:
        units: Its units, row-major, that are explained together.
        versus: The unit that a single one is higher than.
        side: 1 to ask why they are high, -1 why they are low; None for the predicted side where the
            output has a single unit, else for 1.
        bar: What a place of the last map must be ahead of, as a share of the mean over places; None
            to ask without contrast.
    """

    units: tuple[int, ...]
    versus: int | None = None
    side: int | None = None
    bar: float | None = None


class Reference(NamedTuple):
    """What `backtrack` returns.

    Attributes:
        nodes: By name of the tensor, the paper's memory vector M there; of questions with contrast
            from the last maps on.
        lost: Mass of the paths that ended on the way, or that was outweighed.
        scale: How many times what is rounded on the way counts in the end.
    """

    nodes: dict[str, Memory]
    lost: float
    scale: float


def backtrack(
    model: keras.Model,
    image: np.ndarray | Sequence[np.ndarray],
    target: int | Asked,
    paths: Paths | None = None,
    activations: dict[int, np.ndarray] | None = None,
    *,
    is_both: bool = False,
    begin: Begin | None = None,
) -> Reference:
    """Walks one decision about one image back to its pixels.

    Args:
        model: A built model with one output.
        image: The image, without a batch axis; for several inputs one for each.
        target: Which unit of the output to explain, row-major; or more than that.
        paths: How many contributions are kept; None for the defaults.
        activations: Every tensor's activation for this image, without a batch axis, by its number
            in the model's graph. By default the model is run.
        is_both: Whether all paths are followed down to the fine layers, and `paths` from there.
        begin: Takes the number of a tensor where all paths end and `paths` begin, and the nodes
            there; returns those to begin with. By default the heaviest.
    """
    READ.clear()
    graph = read_model(model)
    activations = activations or _run(graph, image)
    asked = target if isinstance(target, Asked) else Asked((target,))
    paths = paths or Paths()
    marks = Landmarks(graph, activations)
    is_contrast = asked.bar is not None and bool(paths.all_paths or is_both or marks.last_maps)
    question = _question(graph, activations, asked)
    begun = Ahead(_roots(graph, question, asked.versus), 1.0)
    if is_contrast:
        assert asked.bar is not None
        last_maps = set(marks.last_maps.values())
        begun = ahead(graph, activations, question, last_maps, asked.bar)
    meet = set(marks.fine_layers.values()) - set(graph.inputs) if is_both else set()
    found = Walked({}, 0.0)
    if paths.all_paths or is_both:
        found = _over_all(graph, activations, begun.nodes, meet, is_contrast)
        at_start = {n: found.nodes[n] for n in meet if n in found.nodes}
    elif is_contrast:
        at_start, meet = _above(begun.nodes), set(marks.last_maps.values())
        found = Walked({}, 1 - sum(sum(own.values()) for own in at_start.values()))
    else:
        at_start, meet = begun.nodes, set()
    if not paths.all_paths:
        begin = begin or (lambda number, nodes: heaviest(nodes))
        start = {**at_start, **{n: begin(n, at_start.get(n, {})) for n in sorted(meet)}}
        below = walk(graph, activations, start, paths)
        found = _joined(found, below, meet if is_both else set())
    nodes = {graph.names[n]: dict(m) for n, m in found.nodes.items() if m}
    return Reference(nodes, found.lost, begun.scale)


def _run(graph: Graph, image: np.ndarray | Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    images = image if isinstance(image, (list, tuple)) else [image]
    specs = [graph.specs[number] for number in graph.inputs]
    pairs = zip(images, specs, strict=True)
    tensors = graph.replay([tf.cast(values, spec.dtype)[None] for values, spec in pairs])
    return {number: np.asarray(tensor)[0] for number, tensor in tensors.items()}


def _question(graph: Graph, activations: dict[int, np.ndarray], asked: Asked) -> dict[Place, float]:
    """What units of the output count with."""
    shape = activations[graph.output].shape

    def place_of(unit: int) -> Place:
        return tuple(map(int, np.unravel_index(unit, shape)))

    side = asked.side or 1
    if asked.side is None and np.prod(shape) == 1:
        side = -1 if logit(graph, activations, place_of(asked.units[0])) < 0 else 1
    question = {place_of(unit): side / len(asked.units) for unit in asked.units}
    if asked.versus is not None:
        question[place_of(asked.versus)] = -1.0
    return question


def _roots(
    graph: Graph, question: dict[Place, float], versus: int | None
) -> dict[int, dict[Any, float]]:
    """The nodes that a question without contrast is about, or its combination of two."""
    units = [(place, 1 if count > 0 else -1) for place, count in question.items()]
    if versus is not None:
        return {graph.output: {Combination(*units): 1.0}}
    return {graph.output: {unit: abs(question[unit[0]]) for unit in units}}


def _over_all(
    graph: Graph,
    activations: dict[int, np.ndarray],
    nodes: dict[int, Memory],
    meet: set[int],
    is_contrast: bool,
) -> Walked:
    """All paths down to some tensors or the inputs, and where there is a contrast what is left."""
    walked = walk(graph, activations, nodes, ALL_PATHS, meet)
    if not is_contrast:
        return walked
    first = channels_first(graph)
    left = {n: left_over(own, activations[n].shape, n in first) for n, own in walked.nodes.items()}
    arrived = sum(sum(left.get(n, {}).values()) for n in {*meet, *graph.inputs})
    return Walked(left, 1 - arrived)


def _above(nodes: dict[int, Memory]) -> dict[int, Memory]:
    return {n: {unit: m for unit, m in own.items() if m > 0} for n, own in nodes.items()}


def _joined(above: Walked, below: Walked, meet: set[int]) -> Walked:
    """Two ways back as one; where they meet, all nodes of the first."""
    nodes = dict(above.nodes)
    for number, own in below.nodes.items():
        if number not in meet:
            # Some ways to an input are over all paths to the end.
            earlier = nodes.get(number, {})
            nodes[number] = {u: earlier.get(u, 0.0) + own.get(u, 0.0) for u in {*earlier, *own}}
    return Walked(nodes, above.lost + below.lost)
