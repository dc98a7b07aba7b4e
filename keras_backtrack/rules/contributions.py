"""What a rule can say about a layer: where each unit of its output comes from.

A rule returns one of these kinds. `Same`: a unit of the output is the unit at the same place of
the input. `Moves`: it is one unit of some input. `Branches`: it is made of one unit of each input.
`Sum`: it is a weighted sum over many units of the input. `Product`: it is such a sum in two ways,
over either of two inputs. `Loop`: it is made step by step along a sequence. None of them says which
contributions are followed: that is decided once for all rules, in `propagation`. Every interpreter
there has a table with a row for each kind, and finds the row with `row_of`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from ..checks import arguments
from ..graph.graph import Graph
from .indexing import flip_of
from .windows import Slide


class At(NamedTuple):
    """Nodes at a layer's output, their place spelled out. All (M,), int64 but for the sign.

    Attributes:
        explanation: Which explanation the node belongs to.
        image: Which row of the batch that explanation is about.
        unit: Place of the unit in one row of the tensor, row-major.
        sign: float32, +1 or -1.
    """

    explanation: tf.Tensor
    image: tf.Tensor
    unit: tf.Tensor
    sign: tf.Tensor


class Arrival(NamedTuple):
    """Where nodes arrive in one input of a layer.

    Attributes:
        unit: (M,) int64, place of the unit in one row of that input.
        flip: (M,) float32, +1 or -1, which the sign is multiplied with; None for +1.
        here: (M,) bool, whether the node belongs to this input at all; None for all of them.
    """

    unit: tf.Tensor
    flip: tf.Tensor | None = None
    here: tf.Tensor | None = None


@dataclass(frozen=True)
class Moves:
    """Each unit of the output is one unit of one input, so mass moves there undivided.

    Attributes:
        to: Takes nodes at the output, returns one `Arrival` for each input of the layer. A node
            that arrives nowhere (it came from padding) ends here.
        back: The same for all units at once, where there is a faster way than asking `to` about
            each: takes the mass (E, *output), returns that of each input; the rest has ended.
        takes_arrays: Whether `to` also takes NumPy arrays and holds no tensors, which spares the
            walk a TensorFlow function.
    """

    to: Callable[[At], Sequence[Arrival | None]]
    back: Callable[[tf.Tensor], Sequence[tf.Tensor]] | None = None
    takes_arrays: bool = False


@dataclass(frozen=True)
class Relocation(Moves):
    """As `Moves`, where it is known of every unit which unit it is, the same for all images.

    Attributes:
        came_from: (units,) int64, the units counted through all inputs, one behind another; below 0
            for none. None where the sizes are not known before the network runs.
    """

    came_from: tf.Tensor | None = None


@dataclass(frozen=True)
class Joined(Moves):
    """As `Moves`, where inputs stand side by side in the output.

    Attributes:
        widths: Units of each input in one row of the joined axis and all behind it; None where the
            sizes are not known before the network runs.
    """

    widths: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Extreme(Moves):
    """As `Moves`, where each unit is the largest or smallest of several, the first of equals."""


@dataclass(frozen=True)
class WindowMaximum(Extreme):
    """As `Extreme`, where each unit is the largest of its window.

    Attributes:
        slide: How the windows slide; None where there is one that sees everything.
    """

    slide: Slide | None = None


@dataclass(frozen=True)
class Same:
    """Each unit of the output is the unit of the input at the same row-major place.

    Attributes:
        flips: (period,) float32, +1 or -1: what the sign of unit u is multiplied with, at
            u modulo the period, which divides the number of units; None for +1 everywhere.
    """

    flips: tf.Tensor | None = None


def same_place(scale: tf.Tensor | None = None) -> Same:
    """`Same` for a layer that acts on each unit alone.

    Args:
        scale: What each unit is multiplied with: a tensor with all axes of the output but the
            batch's, or with the last few of them only. The sign flips where it is negative. None
            for functions that do not fall, and for layers that only reshape.
    """
    if scale is None:
        return Same()
    if isinstance(scale, np.ndarray) or not hasattr(scale, "shape"):
        scale = arguments.numbers("scale", scale)
    return Same(tf.reshape(flip_of(scale), [-1]))


@dataclass(frozen=True)
class Branches:
    """Each unit of the output is made of one unit of every input, broadcast as in arithmetic.

    Attributes:
        parts: Takes the sign of some units of the output, or one sign for all of them, and the
            values of each input there, all of one shape. Returns what each input contributes.
        flips: Takes the values, returns what the sign is multiplied with on the way into each
            input, +1 or -1; None for +1 everywhere.
        shares: In place of `parts` where all paths are followed and their shares are others.
        takes_arrays: Whether `parts` and `flips` also take NumPy arrays and hold no tensors, which
            spares the walk a TensorFlow function.
    """

    parts: Callable[[tf.Tensor, Sequence[tf.Tensor]], Sequence[tf.Tensor]]
    flips: Callable[[Sequence[tf.Tensor]], Sequence[tf.Tensor]] | None = None
    shares: Callable[[tf.Tensor, Sequence[tf.Tensor]], Sequence[tf.Tensor]] | None = None
    takes_arrays: bool = False


class Members(NamedTuple):
    """The contributions inside one chosen group of each of L nodes.

    All (L, P), or all (L,) where a group is a single contribution.

    Attributes:
        unit: int64, place of the contributing unit in one row of the input.
        flip: float32, the sign of its weight, +1 or -1.
        value: float32, signed contribution, 0 where there is none (padding). None for single
            contributions: there is nothing left to choose.
    """

    unit: tf.Tensor
    flip: tf.Tensor
    value: tf.Tensor | None = None


class Groups(NamedTuple):
    """The contributions to M nodes, in G groups each.

    Attributes:
        value: (M, G) float32, signed contribution of each group.
        members: Looks inside one group of each of L nodes. Takes two (L,) int64, which node
            (below M) and which of its groups (below G); returns `Members`.
    """

    value: tf.Tensor
    members: Callable[[tf.Tensor, tf.Tensor], Members]


def single_groups(
    value: tf.Tensor, unit: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], weight: tf.Tensor | None
) -> Groups:
    """Groups of a single contribution each.

    Args:
        value: (M, G) float32, the contributions.
        unit: From nodes and groups, two (L,) int64, to the (L,) int64 contributing units.
        weight: (M, G) float32, whose signs are the flips; None where none is negative.
    """

    def members(parent: tf.Tensor, choice: tf.Tensor) -> Members:
        if weight is None:
            return Members(unit(parent, choice), tf.ones_like(parent, tf.float32))
        chosen = tf.gather_nd(weight, tf.stack([parent, choice], axis=1))
        return Members(unit(parent, choice), flip_of(chosen))

    return Groups(value, members)


@dataclass(frozen=True)
class Sum(ABC):
    """Each unit of the output is y = sum of W·A over units of the input, plus a bias.

    Where a call has several inputs that are followed, they are one input, one behind another.

    Its contributions are sign·W·A. They come in groups (for a convolution: the channels), and a
    group has members (the positions in the window), so that groups can be chosen by their sums
    before anybody looks inside.

    Subclasses are dataclasses of tensors and hashable settings: layers that differ in the tensors
    only share one traced function. So their methods must take sizes from the tensors they hold. One
    that is no `LinearSum` is followed node by node by all paths too, traced for each layer anew.

    Attributes:
        group_limit: Which of the explainer's limits says how many groups are kept.
        member_limit: Which says how many members of each; None where groups have one.
        source: What the layer read, batch axis first.
        bias: (output channels,) float32 or None.
    """

    group_limit: ClassVar[str]
    member_limit: ClassVar[str | None] = None

    source: tf.Tensor
    bias: tf.Tensor | None

    @property
    def width(self) -> tf.Tensor:
        """How many numbers a node takes, at least 1; nodes come in chunks, which bounds memory."""
        return tf.size(self.source, tf.int64) // tf.shape(self.source, tf.int64)[0]

    @abstractmethod
    def groups(self, at: At, bias: tf.Tensor | None) -> Groups:
        """The contributions to some nodes.

        Args:
            at: M nodes, in ascending order of explanation and unit.
            bias: (M,) float32 to add to each product, already signed, or None.
        """


@dataclass(frozen=True)
class LinearSum(Sum):
    """A sum that can be made anew from other inputs and weights, for all units at once.

    Attributes:
        is_channelwise: Whether each channel, the last axis, is added up alone, all with one weight
            at a place.
        weights: The weights W, float32, in any order.
    """

    @property
    def is_channelwise(self) -> bool:
        return False

    weights: tf.Tensor

    @abstractmethod
    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """The sums without bias, for other inputs and other weights of the same shapes."""

    def of_images(self, image: tf.Tensor) -> "LinearSum":
        """The same with other rows: those of the (M,) int64 images."""
        return replace(self, source=tf.gather(self.source, image))

    def groups(self, at: At, bias: tf.Tensor | None) -> Groups:
        """As `Sum.groups`; a unit's weights are its gradient, which takes a sum for every node."""
        rows = self.of_images(at.image)
        weight = rows.unit_weights([at.unit], [tf.ones_like(at.sign)])
        value = weight * rows.flat_source * at.sign[:, None]
        return self.grouped(weight, value if bias is None else value + bias[:, None])

    def combination(
        self, at: Sequence[At], biases: Sequence[tf.Tensor] | None, in_groups: bool
    ) -> Groups:
        """The contributions to combinations of K units, Σ_k sign_k·W_k·A; flips are theirs alone.

        Args:
            at: K times M units of the output, each with the sign it counts with.
            biases: K times (M,) float32 to add to each product of a unit, already signed, or None.
            in_groups: Whether they come in the sum's groups; else each is a group of its own.
        """
        rows, units = self.of_images(at[0].image), [own.unit for own in at]
        weight = rows.unit_weights(units, [own.sign for own in at])
        value = weight * rows.flat_source
        if biases is not None:
            value += rows.unit_weights(units, biases, tf.ones_like(rows.weights))
        return self.grouped(weight, value, in_groups)

    def grouped(self, weight: tf.Tensor, value: tf.Tensor, in_groups: bool = True) -> Groups:
        """Weights and contributions of all input units, (M, units) both, in groups."""
        if self.member_limit is None or not in_groups:
            return single_groups(value, lambda parent, choice: choice, weight)
        channels = tf.shape(self.source, tf.int64)[-1]
        shape = tf.stack([tf.shape(value, tf.int64)[0], -1, channels])
        weight, value = (tf.reshape(part, shape) for part in (weight, value))

        def members(parent: tf.Tensor, channel: tf.Tensor) -> Members:
            place = tf.stack([parent, channel], axis=1)
            by_channel = (tf.transpose(part, [0, 2, 1]) for part in (weight, value))
            weights, values = (tf.gather_nd(part, place) for part in by_channel)
            position = tf.range(tf.shape(values, tf.int64)[1])
            unit = position * channels + channel[:, None]
            return Members(unit, flip_of(weights), values)

        return Groups(tf.reduce_sum(value, axis=1), members)

    @property
    def flat_source(self) -> tf.Tensor:
        """What the layer read, (rows, units) float32."""
        return tf.reshape(tf.cast(self.source, tf.float32), [tf.shape(self.source)[0], -1])

    def unit_weights(
        self,
        units: Sequence[tf.Tensor],
        factors: Sequence[tf.Tensor],
        weights: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """What the inputs weigh in sums of a few units: (M, units of the input) float32.

        Args:
            units: K times (M,) int64, units of the output, for each row of this sum.
            factors: K times (M,) float32, how often each is added.
            weights: In place of the sum's own.
        """
        source = tf.cast(self.source, tf.float32)
        row = tf.range(tf.shape(source, tf.int64)[0])
        with tf.GradientTape() as tape:
            tape.watch(source)
            output = self.apply(source, self.weights if weights is None else weights)
        places = tf.concat([tf.stack([row, unit], axis=1) for unit in units], 0)
        size = tf.size(output, tf.int64) // tf.maximum(tf.size(row, tf.int64), 1)
        shape = tf.stack([tf.size(row, tf.int64), size])
        seed = tf.scatter_nd(places, tf.concat(factors, 0), shape)
        found = tape.gradient(output, source, tf.reshape(seed, tf.shape(output)))
        return tf.reshape(found, [tf.shape(source)[0], -1])


@dataclass(frozen=True)
class Product:
    """Each unit of the output is y = sum of A·B over units of two inputs.

    It is a sum over either, weighted with the other, and both explain it equally.

    Attributes:
        sums: One for each input that is followed, in their order.
    """

    sums: Sequence[Sum]


@dataclass(frozen=True)
class Loop:
    """The output is made step by step along a sequence, as by a recurrent layer.

    A cell reads one time step and the states, and makes an output and the next states.

    Attributes:
        cell: What is done at each step. Its inputs are a time step and the states, its outputs
            the output and the new states.
        sequence: (N, T, ...) what is read.
        states: The states before the first step, batch axis first.
        mask: (N, T) bool, false at steps that are skipped: output and states stay; None for none.
        is_reversed: Whether the sequence is read from its end.
        position: What the nodes are in: 0 for the output, i for the i-th state after the last step.
        is_whole: Whether the output is that of all steps, (N, T, ...), or of the last one only.
        skips_to_zero: Whether outputs of skipped steps are 0 and not that of the step before.
    """

    cell: Graph
    sequence: tf.Tensor
    states: Sequence[tf.Tensor]
    mask: tf.Tensor | None = None
    is_reversed: bool = False
    position: int = 0
    is_whole: bool = True
    skips_to_zero: bool = False


Contributions = Same | Moves | Branches | Sum | Product | Loop

Row = TypeVar("Row")


def row_of(table: Mapping[type, Row], contributions: Contributions) -> Row:
    """The row of an interpreter's table for what a rule said: that of the nearest kind."""
    return next(table[kind] for kind in type(contributions).__mro__ if kind in table)
