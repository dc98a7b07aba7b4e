"""Questions with contrast: of the places of the last map only what is ahead goes on.

Deep down, what speaks for any class comes from the same places. What tells one from the others is
what speaks against it as well. Both are spread over all paths to the last maps, each on its own. At
a place p their balance is S(p) = for - against, and what goes on is

    q(p) = S(p) - min(bar * mean, mean)

along what speaks for the question there, and at most ten times that. With a bar of 1 that is what
is ahead of the average place, which is this class's alone; with a low one it is whole objects. What
is behind has mass below 0.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph
from ...rules import Rules
from ...rules.activations import is_softmax
from ...rules.gates import is_output_made_by
from ...rules.indexing import units_of
from ..all_paths.all_paths import AllPaths
from ..all_paths.maps import Maps, Places
from ..kernels import NodeArrays
from ..nodes import Asked, Nodes
from ..paths import Batch
from .evidence import Sides, evidence
from .start import sided

_MOST = np.float32(10)  # times what speaks for it may go on at a place
_LEAST = np.float32(1e-6)  # of what speaks for and against at an average place, that does for it


class Begun(NamedTuple):
    """Where questions with contrast begin, as tensors.

    Attributes:
        sides: By tensor number, what speaks for a question and against it.
        passed, logits, side: As of `Start`.
    """

    sides: dict[int, Sides]
    passed: dict[int, Nodes]
    logits: tf.Tensor
    side: tf.Tensor


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


def begin(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    image_index: tf.Tensor,
    asked: Asked,
    rules: Rules,
    is_predicted: bool,
) -> Begun:
    """Takes questions about units of the output back to the first sums.

    Args:
        graph: The calls.
        tensors: Activations by tensor number.
        image_index: (E,) int64, which row of the batch each explanation is about.
        asked: At the output.
        rules: Which rule serves which of the calls.
        is_predicted: Whether the predicted side of a single unit is asked about: see `start`.
    """
    explanations = tf.size(image_index, tf.int64)
    size = units_of(tensors[graph.output])
    logits, side, asked = sided(graph, tensors, image_index, asked, rules, is_predicted)
    index, weight = tf.concat(asked.index, 0), tf.concat([s * asked.mass for s in asked.sign], 0)
    weights = tf.math.unsorted_segment_sum(weight, index, explanations * size)
    weights = tf.reshape(weights, [-1, size])
    rows = _Rows(tensors, image_index)
    sides = evidence(graph, rows, weights, rules, is_output_made_by(graph, is_softmax))
    return Begun(sides, {graph.output: asked.singles(size)}, logits, side)


def ahead(
    graph: Graph, batch: Batch, sides: dict[int, Sides], spread: AllPaths, bar: float
) -> tuple[dict[int, NodeArrays], np.ndarray]:
    """Takes what speaks for questions and against them on to the last maps, and compares.

    Args:
        graph: The calls.
        batch: The run of the network.
        sides: As of `Begun`.
        spread: The way to the last maps, or to inputs without one.
        bar: What a place must be ahead of, as a share of the mean over places.

    Returns:
        By tensor number the nodes there, also those behind the bar, with mass below 0; and the (E,)
        mass that was lost: none, and NaN where sums overflow, as mass vanishes there.
    """
    count = len(batch.image_index)
    if not sides:
        return {}, np.zeros(count)
    roots = {number: _both(own) for number, own in sorted(sides.items())}
    held, lost, _ = spread.spread(batch.twice, roots)
    leads = {}
    for number in sorted(held):
        places = Places.of(batch.sizes[number], number in graph.channels_first)
        for_it, against = (Maps(*(m[own] for m in held[number])) for own in _halves(count))
        leads[number] = _lead(for_it, against, places, np.float32(bar))
    total = sum((Maps(*(np.maximum(m, 0) for m in maps)).mass for maps in leads.values()), 0)
    scale = np.divide(1, total, out=np.zeros(count), where=total > 0).astype(np.float32)
    nodes = {n: Maps(*(m * scale[: len(m), None] for m in maps)).nodes for n, maps in leads.items()}
    ended = total + lost[:count] + lost[count:]
    return nodes, np.where(np.isfinite(ended), 0, np.nan)


def _halves(count: int) -> tuple[slice, slice]:
    return slice(count), slice(count, None)


def _both(sides: Sides) -> Maps:
    """What speaks for each question, and behind it against: two maps in one."""
    for_it, against = (Maps(*(mass.numpy() for mass in own)) for own in sides)
    high = np.concatenate([for_it.high, against.high])
    if not len(for_it.low) and not len(against.low):
        return Maps(high, high[:0])
    return Maps(high, np.concatenate([for_it.full_low, against.full_low]))


def _lead(for_it: Maps, against: Maps, places: Places, bar: np.float32) -> Maps:
    """What is ahead of the bar, and below 0 what is behind it."""
    if not places.are_several:
        return Maps(*(ours - theirs for ours, theirs in zip(for_it, against, strict=True)))
    ours, theirs = ([places.apart(mass) for mass in maps] for maps in (for_it, against))
    total, less = (sum(m.sum(axis=2) for m in own if len(m)) for own in (ours, theirs))
    mean = (total - less).mean(axis=1, keepdims=True)
    # Where the mean is below 0, a place for which next to nothing speaks is ahead of it by far.
    balance = np.minimum(total - less - np.minimum(bar * mean, mean), _MOST * total)
    # Where next to nothing speaks for it there is nothing to go on along.
    least = _LEAST * (total + less).mean(axis=1, keepdims=True)
    share = np.divide(balance, total, out=np.zeros_like(total), where=total > least)
    return Maps(*(places.joined(mass * share[: len(mass), :, None]) for mass in ours))
