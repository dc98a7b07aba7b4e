"""Questions with contrast: of the places of the last map only what is ahead goes on.

Deep down, what speaks for any class comes from the same places. What tells one from the others is
what speaks against it as well. Both are spread over all paths to the last maps, each on its own. At
a place p their balance is S(p) = for - against, and what goes on is

    q(p) = S(p) - min(bar * mean, mean)

along what speaks for the question there, and at most ten times that. With a bar of 1 that is what
is ahead of the average place, which is this class's alone; with a low one it is whole objects. What
is behind has mass below 0.
"""

from collections.abc import Sequence

import tensorflow as tf

from ...graph.graph import Graph
from ...rules import Rules
from ...rules.activations import is_softmax
from ...rules.gates import is_output_made_by
from ...rules.indexing import units_of
from ..all_paths.dense_mass import (
    Maps,
    all_mass,
    as_nodes,
    both,
    by_place,
    by_unit,
    is_map,
)
from ..all_paths.spreading import Spread
from ..landmarks import Landmarks
from ..nodes import Asked
from ..shares import unless_overflown
from .evidence import Sides, evidence
from .start import Start, sided

_MOST = 10.0  # times what speaks for it may go on at a place
_LEAST = 1e-6  # of what speaks for and against at an average place, that speaks for it at one


class _Rows(dict[int, tf.Tensor]):
    """Activations with a row for each explanation, each made when it is first asked for."""

    def __init__(self, tensors: dict[int, tf.Tensor], image_index: tf.Tensor) -> None:
        self._tensors, self._image_index = tensors, image_index

    def __missing__(self, number: int) -> tf.Tensor:
        tensor = self._tensors[number]
        # What has no row for each image, such as a causal mask, stays as it is, or is the same
        # for all of them.
        if tensor.shape.rank and tensor.shape[0] is None:
            last = tf.shape(tensor, tf.int64)[0] - 1
            tensor = tf.gather(tensor, tf.minimum(tf.cast(self._image_index, tf.int64), last))
        self[number] = tensor
        return tensor


def start_ahead(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    image_index: tf.Tensor,
    asked: Asked,
    rules: Rules,
    found: Landmarks,
    bar: float,
    is_predicted: bool,
) -> Start:
    """Takes questions about units of the output back to the last maps.

    Args:
        graph: The calls.
        tensors: Activations by tensor number.
        image_index: (E,) int64, which row of the batch each explanation is about.
        asked: At the output.
        rules: Which rule serves which of the calls.
        found: The graph's landmarks.
        bar: What a place must be ahead of, as a share of the mean over places.
        is_predicted: Whether the predicted side of a single unit is asked about: see `start`.
    """
    explanations = tf.size(image_index, tf.int64)
    output = tensors[graph.output]
    size = units_of(output)
    logits, side, asked = sided(graph, tensors, image_index, asked, rules, is_predicted)
    index, weight = tf.concat(asked.index, 0), tf.concat([s * asked.mass for s in asked.sign], 0)
    weights = tf.math.unsorted_segment_sum(weight, index, explanations * size)
    weights = tf.reshape(weights, [-1, size])
    rows = _Rows(tensors, image_index)
    sides = evidence(graph, rows, weights, rules, is_output_made_by(graph, is_softmax))
    until = set(found.last_maps.values())
    ends, ended = _spread(graph, tensors, image_index, sides, rules, until)
    first = graph.channels_first
    leads = {n: _lead(*pair, tensors[n], n in first, bar) for n, pair in ends.items()}
    nothing = tf.zeros_like(image_index, tf.float32)
    ahead = sum((all_mass(Maps(*map(tf.nn.relu, maps))) for maps in leads.values()), nothing)
    scale = tf.math.divide_no_nan(tf.ones_like(ahead), ahead)[:, None]
    nodes = {n: as_nodes(_scaled(maps, scale), is_signed=True) for n, maps in sorted(leads.items())}
    passed = {graph.output: asked.singles(size)}
    # What is ahead is all of it, unless some of it vanished by overflow.
    lost = unless_overflown(ahead + ended, nothing)
    return Start(nodes, passed, logits, lost, side)


def _spread(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    image_index: tf.Tensor,
    sides: dict[int, Sides],
    rules: Rules,
    until: set[int],
) -> tuple[dict[int, Sides], tf.Tensor]:
    """Both sides at the last maps, or at inputs without one, and the (E,) mass that ended."""
    explanations = tf.size(image_index)
    if not sides:
        return {}, tf.zeros_like(image_index, tf.float32)
    twice = _Rows(tensors, tf.concat([image_index, image_index], 0))
    roots = {
        number: Maps(*(_stacked(pair) for pair in zip(*own, strict=True)))
        for number, own in sides.items()
    }
    held, lost, _ = Spread(twice, rules).back(graph, roots, until)
    ends = {
        number: Sides(
            Maps(*(mass[:explanations] for mass in maps)),
            Maps(*(mass[explanations:] for mass in maps)),
        )
        for number, maps in held.items()
        if number in until or number in graph.inputs
    }
    return ends, lost[:explanations] + lost[explanations:]


def _stacked(pair: Sequence[tf.Tensor]) -> tf.Tensor:
    """Two maps, either of which may be without rows, one behind the other."""
    upper, lower = pair
    rows = tf.maximum(tf.shape(upper)[0], tf.shape(lower)[0])

    def full(mass: tf.Tensor) -> tf.Tensor:
        return tf.pad(mass, [[0, rows - tf.shape(mass)[0]], [0, 0]])

    return tf.concat([full(upper), full(lower)], 0)


def _lead(for_it: Maps, against: Maps, tensor: tf.Tensor, is_first: bool, bar: float) -> Maps:
    """What is ahead of the bar, and below 0 what is behind it."""
    ours, theirs = (by_place(both(maps), tensor, is_first) for maps in (for_it, against))
    if not is_map(tensor, is_first):
        lead = ours - theirs
    else:
        balance = tf.reduce_sum(ours - theirs, axis=[0, 3], keepdims=True)
        mean = tf.reduce_mean(balance, axis=2, keepdims=True)
        total, against = (tf.reduce_sum(m, axis=[0, 3], keepdims=True) for m in (ours, theirs))
        # Where the mean is below 0, a place for which next to nothing speaks is ahead of it by far.
        balance = tf.minimum(balance - tf.minimum(bar * mean, mean), _MOST * total)
        # Where next to nothing speaks for it there is nothing to go on along.
        least = _LEAST * tf.reduce_mean(total + against, axis=2, keepdims=True)
        lead = ours * tf.math.divide_no_nan(balance, tf.where(total > least, total, 0.0))
    return by_unit(lead, for_it, tensor, is_first)


def _scaled(maps: Maps, scale: tf.Tensor) -> Maps:
    """Each row times a factor; a map without rows stays so."""
    return Maps(*(mass * scale[: tf.shape(mass)[0]] for mass in maps))
