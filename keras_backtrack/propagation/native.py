"""What steps in machine code have in common, whatever they carry."""

from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..graph.graph import Graph
from ..rules import Rules, followed, reached
from ..rules.packed_weights import PackedWeights
from ..rules.traced_call import TracedCall
from ..rules.windows import Slide, Windows
from .backward import Place, Taken, places_back
from .kernels import Geometry
from .over_activations import any_batch
from .paths import Batch

Constants = Sequence[np.ndarray]


class Native(NamedTuple):
    """A step in machine code.

    Attributes:
        constants: What it reads besides activations.
        reads: Numbers of the tensors whose activations it reads.
        take: Takes nodes or maps, the run of the network and the constants as arrays.
    """

    constants: Sequence[tf.Tensor]
    reads: Sequence[int]
    take: Callable[[Any, Batch, Constants], Taken]


class Kept:
    """Constants as arrays, for as long as the model's weights are what they are.

    Args:
        trace: Makes the tensors, in a program that is being traced.
        weights: What tells when weights change.

    Attributes:
        arrays: The constants.
    """

    def __init__(self, trace: Callable[[], list[tf.Tensor]], weights: PackedWeights) -> None:
        self._made = tf.function(trace, autograph=False).get_concrete_function()
        # What changes with the copies of weights changes when these do.
        copies = set(map(id, weights.copies))
        read = [v for v in _variables_of(self._made) if id(v) not in copies]
        weights.follow(read, self._compute)
        self._compute()

    def _compute(self) -> None:
        self.arrays = [np.asarray(tensor) for tensor in self._made()]


def _variables_of(function: Any) -> list[tf.Variable]:
    """The variables that a function's outputs depend on, rather than all it has come across."""
    reached, found = {tensor.op for tensor in function.outputs}, set()
    while reached:
        found |= reached
        reached = {tensor.op for op in reached for tensor in op.inputs} - found
    read = {id(outer) for outer, inner in function.graph.captures if inner.op in found}
    return [variable for variable in function.graph.variables if id(variable.handle) in read]


def reached_from(
    graph: Graph, start: Collection[int], until: Collection[int] = ()
) -> frozenset[int]:
    """Numbers of the tensors that ways from some tensors come to, ending at others."""
    open_ = set(start)
    for place in places_back(reached(graph)):
        number = place.call.outputs[place.position]
        if number in open_ and number not in until:
            reads = zip(place.call.inputs, followed(graph, place.call), strict=True)
            open_.update(read for read, follow in reads if follow)
    return frozenset(open_)


def places_in(graph: Graph, numbers: Collection[int]) -> list[Place]:
    """The places of some tensors, those of the last call first."""
    back = places_back(reached(graph))
    return [place for place in back if place.call.outputs[place.position] in numbers]


def traced_empty(graph: Graph, place: Place, rules: Rules) -> TracedCall:
    """A place as rules want to see it, on tensors that are still empty."""
    numbers = dict.fromkeys([*place.call.inputs, place.call.outputs[place.position]])
    specs = {n: any_batch(graph.specs[n]) for n in numbers}
    tensors = {n: tf.compat.v1.placeholder(s.dtype, s.shape) for n, s in specs.items()}
    return rules.trace(graph, *place, tensors)


def if_any_turns(flips: tf.Tensor) -> tf.Tensor:
    """The flips of `Same`; none where all are +1, as of most normalisations."""
    return flips[: tf.where(tf.reduce_any(flips < 0), tf.size(flips), 0)]


def origin(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor itself, or the one that it has been reshaped or cast from."""
    while tensor.op.type in ("Cast", "Reshape"):
        tensor = tensor.op.inputs[0]
    return tensor


@cache
def geometry_of(slide: Slide | None, read: tuple[int, ...], made: tuple[int, ...]) -> Geometry:
    """The windows of a layer, from its input's and its output's spatial sizes."""
    windows = Windows.sliding(read, made, slide)
    taps = np.stack(np.meshgrid(*windows.offsets, indexing="ij"), -1)
    offsets = np.ascontiguousarray(taps.reshape(-1, len(read)), np.int64)
    dims = windows.input_dims, windows.output_dims, windows.strides
    inputs, outputs, strides = (np.array(n, np.int64) for n in dims)
    return Geometry(inputs, outputs, strides, offsets, windows.transposed)
