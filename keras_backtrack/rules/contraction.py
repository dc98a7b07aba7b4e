"""Sums of products over named axes: matrix products, einsum, attention, sums and means."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import tensorflow as tf

from ..graph.compat import as_tensor, is_variable, keras
from .contributions import At, Groups, LinearSum, Product, Sum, single_groups
from .gates import factors
from .indexing import product, unravel, value_at
from .linear import DenseSum
from .packed_weights import Layout
from .registry import register_operation, register_rule
from .traced_call import TracedCall

layers = keras.layers


@register_rule(layers.EinsumDense)
def einsum_dense(call: TracedCall) -> Sum:
    """A Dense layer, or one with several axes for units or features."""
    source, kernel, output = _letters(call.layer.equation)
    return _with_kernel(call, source[1:], kernel, output[1:], call.layer.kernel, call.layer.bias)


@register_operation("matmul", follows=factors)
def matmul(call: TracedCall) -> Sum | Product:
    """Rows of the first with columns of the second."""
    first, second = call.operands[:2]
    ranks = len(first.shape), len(second.shape)
    rank = max(ranks)
    leading = "abcdefg"[: rank - 2]
    names = [leading[rank - r :] for r in ranks]
    left, right = "mk", "kn"
    if call.arguments.get("transpose_a"):
        left = left[::-1]
    if call.arguments.get("transpose_b"):
        right = right[::-1]
    return _contraction(call, [first, second], [names[0] + left, names[1] + right], leading + "mn")


@register_operation("einsum", follows=factors)
def einsum(call: TracedCall) -> Sum | Product:
    """What the equation says."""
    texts = [v for v in (*call.call.args, *call.arguments.values()) if isinstance(v, str)]
    equation = next(text for text in texts if "->" in text)
    *operands, output = _letters(equation)
    values = [v for v in tf.nest.flatten(call.operands) if hasattr(v, "shape")]
    if len(values) == 1 and operands[0][0] == output[0]:
        # Added up along axes, and the others put in another order.
        gone = "".join(letter for letter in operands[0] if letter not in output)
        sizes = [tf.shape(call.input)[operands[0].index(letter)] for letter in gone]
        names = (operands[0][1:], gone, output[1:])
        return ContractionSum(call.input, None, tf.ones(sizes), *names, False)
    return _contraction(call, values, operands, output)


@register_operation("dot")
def dot(call: TracedCall) -> Sum | Product:
    """The last axis of the first with the last but one of the second."""
    second = len(call.operands[1].shape)
    return _along(call, [-1], [max(second - 2, 0)])


@register_operation("tensordot")
def tensordot(call: TracedCall) -> Sum | Product:
    """Some axes of the first with some of the second."""
    axes = call.arguments.get("axes", 2)
    if not isinstance(axes, int):
        return _along(call, *([own] if isinstance(own, int) else list(own) for own in axes))
    return _along(call, list(range(-axes, 0)), list(range(axes)))


def _along(call: TracedCall, one: list[int], other: list[int]) -> Sum | Product:
    """The product of two operands over pairs of axes; all others stay, one behind another."""
    values = call.operands[:2]
    first, second = ("abcdefgh"[: len(values[0].shape)], list("stuvwxyz"[: len(values[1].shape)]))
    for mine, its in zip(one, other, strict=True):
        second[its] = first[mine]
    if call.call.operands_read > 1:
        raise ValueError(
            "A product of all images with all others cannot be followed. "
            f"Received: {call.call.describe()}."
        )
    kept = [letter for letter in (*first, *second) if (letter in first) != (letter in second)]
    return _contraction(call, values, [first, "".join(second)], "".join(kept))


@register_operation("dotproductattention", follows=[2])
def attention(call: TracedCall) -> Sum:
    """Attention weights are constants: what a place attends to is followed into the values.

    The weights are what the operation makes of values that are a one for each place.
    """
    value = call.inputs[2]
    length = tf.shape(value)[1]
    places = tf.eye(length, batch_shape=[tf.shape(value)[0], tf.shape(value)[2]], dtype=value.dtype)
    places = tf.transpose(places, [0, 2, 1, 3])
    weights = call.run([*call.inputs[:2], places, *call.inputs[3:]])
    return ContractionSum(value, None, tf.cast(weights, tf.float32), "snh", "tns", "tnh", True)


@register_operation("mean", "sum")
def reduced(call: TracedCall) -> Sum:
    """A sum with equal weights, spread like a Dense layer's."""
    letters, gone = "abcdefgh"[: call.input.shape.rank - 1], reduced_axes(call)
    kept = "".join(letter for i, letter in enumerate(letters) if i not in gone)
    return ContractionSum(call.input, None, tf.ones([]), letters, "", kept, False)


def reduced_axes(call: TracedCall) -> list[int]:
    """The axes that a bare operation reduces, in ascending order, the batch axis not counted."""
    axis, rank = call.arguments.get("axis"), call.input.shape.rank
    axes = range(rank) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = sorted(int(a) % rank - 1 for a in axes)
    if axes[0] < 0:
        raise ValueError(
            f"`axis` must leave the batch alone in {call.call.describe()}. Received: {axis!r}."
        )
    return axes


def _letters(equation: str) -> list[str]:
    inputs, output = equation.replace(" ", "").split("->")
    return [*inputs.split(","), output]


def _contraction(
    call: TracedCall, values: list[Any], letters: list[str], output: str
) -> Sum | Product:
    """The product of two operands, tensors of the network with a batch axis or constants."""
    if len(values) != 2 or any("." in names for names in letters):
        raise ValueError(
            f"Products of two operands without '...' can be followed. Received: {letters} in "
            f"{call.call.describe()}."
        )
    if call.call.operands_read == 1:
        own = next(i for i, value in enumerate(values) if value is call.input)
        source, other = letters[own], letters[1 - own]
        if source[0] != output[0]:
            raise ValueError(
                "The batch must be the first axis of the input and the output. "
                f"Received: {letters} in {call.call.describe()}."
            )
        return _with_kernel(call, source[1:], other, output[1:], values[1 - own], None)
    sums = []
    for i, follow in enumerate(call.followed):
        if follow:
            weights = tf.cast(values[1 - i], tf.float32)
            names = (letters[i][1:], letters[1 - i][1:], output[1:])
            sums.append(ContractionSum(values[i], None, weights, *names, True))
    return sums[0] if len(sums) == 1 else Product(sums)


def _with_kernel(
    call: TracedCall, source: str, kernel: str, output: str, weights: Any, bias: Any
) -> Sum:
    summed = "".join(letter for letter in source if letter not in output)
    units = "".join(letter for letter in output if letter not in source)
    rows = source.removesuffix(summed)
    bias = None if bias is None else tf.reshape(as_tensor(bias), [-1])
    if kernel == summed + units and source == rows + summed and output == rows + units:
        # A Dense layer with several axes for features and units.
        features = product([int(n) for n in weights.shape[: len(summed)]])
        layout = _by_unit(features)
        weight_rows = call.packed(weights, layout) if is_variable(weights) else layout(weights)
        shape = [tf.shape(call.input)[0], -1, features]
        return DenseSum(tf.reshape(call.input, shape), bias, weight_rows)
    weights = as_tensor(weights) if is_variable(weights) else tf.cast(weights, tf.float32)
    gone = [i for i, letter in enumerate(kernel) if letter not in source + output]
    kernel = "".join(letter for i, letter in enumerate(kernel) if i not in gone)
    return ContractionSum(
        call.input, bias, tf.reduce_sum(weights, gone), source, kernel, output, False
    )


@cache
def _by_unit(features: int) -> Layout:
    """(*features, *units) to (units, features)."""
    return lambda kernel: tf.transpose(tf.reshape(tf.cast(kernel, tf.float32), [features, -1]))


@dataclass(frozen=True)
class ContractionSum(LinearSum):
    """Every input unit along the summed axes is a group of its own.

    Attributes:
        weights: float32, what the input is multiplied with.
        letters: One for each axis of the input, the batch axis left out.
        kernel_letters: Of the kernel.
        output_letters: Of the output, the batch axis left out; those of the input that are not
            among them are summed over.
        is_batched: Whether the kernel has a batch axis as well, before those with letters.
    """

    group_limit = "top_n"

    letters: str
    kernel_letters: str
    output_letters: str
    is_batched: bool

    @property
    def is_channelwise(self) -> bool:
        channel = self.letters[-1:]
        return self.output_letters.endswith(channel) and channel not in self.kernel_letters

    def of_images(self, image: tf.Tensor) -> LinearSum:
        kernel = tf.gather(self.weights, image) if self.is_batched else self.weights
        return replace(self, source=tf.gather(self.source, image), weights=kernel)

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        if not self.kernel_letters:
            axes = [i for i, c in enumerate(self.letters, 1) if c not in self.output_letters]
            return tf.reduce_sum(source, axes) * weights
        kernel = "Z" * self.is_batched + self.kernel_letters
        return tf.einsum(f"Z{self.letters},{kernel}->Z{self.output_letters}", source, weights)

    @property
    def _sizes(self) -> dict[str, tf.Tensor]:
        kernel = tf.unstack(tf.shape(self.weights, tf.int64), self.weights.shape.rank)
        sizes = dict(zip(self.kernel_letters, kernel[self.is_batched :], strict=True))
        source = tf.unstack(tf.shape(self.source, tf.int64), self.source.shape.rank)[1:]
        return {**sizes, **dict(zip(self.letters, source, strict=True))}

    @property
    def _summed(self) -> str:
        return "".join(letter for letter in self.letters if letter not in self.output_letters)

    @property
    def width(self) -> tf.Tensor:
        return tf.maximum(product([self._sizes[letter] for letter in self._summed]), 1)

    def groups(self, at: At, bias: tf.Tensor | None) -> Groups:
        sizes, summed = self._sizes, self._summed
        inside = unravel(tf.range(self.width), [sizes[c] for c in summed])
        outside = unravel(at.unit, [sizes[c] for c in self.output_letters])
        place = {c: p[None] for c, p in zip(summed, inside, strict=True)}
        place.update((c, p[:, None]) for c, p in zip(self.output_letters, outside, strict=True))
        start = tf.zeros(tf.stack([tf.size(at.unit, tf.int64), self.width]), tf.int64)

        def unit_of(letters: str) -> tf.Tensor:
            unit = start
            for c in letters:
                unit = unit * sizes[c] + place[c]
            return unit

        unit, other = unit_of(self.letters), unit_of(self.kernel_letters)
        if self.is_batched:
            weight = value_at(self.weights, at.image[:, None], other)
        else:
            weight = tf.gather(tf.reshape(self.weights, [-1]), other)
        value = at.sign[:, None] * (value_at(self.source, at.image[:, None], unit) * weight)
        if bias is not None:
            value += bias[:, None]

        def unit_at(parent: tf.Tensor, choice: tf.Tensor) -> tf.Tensor:
            return tf.gather_nd(unit, tf.stack([parent, choice], axis=1))

        return single_groups(value, unit_at, weight)
