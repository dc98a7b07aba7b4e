"""Dense and convolutional layers: weighted sums (paper: III-A, Algorithm 1; III-B, Algorithm 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from ..graph.compat import as_tensor, as_tuple, depthwise_kernel, is_variable, keras
from ..graph.dense_kernels import dense_kernel
from .contributions import LinearSum, Sum
from .indexing import dims
from .registry import register_operation, register_rule
from .traced_call import TracedCall
from .windows import Slide

layers = keras.layers


@register_rule(layers.Dense)
def dense(call: TracedCall) -> Sum:
    """Algorithm 1, on the last axis."""
    weight_rows = call.packed(dense_kernel(call.layer), tf.transpose)
    return DenseSum(call.input, _bias(call.layer), weight_rows)


@register_rule(layers.Conv1D, layers.Conv2D, layers.Conv3D)
def convolution(call: TracedCall) -> Sum:
    """Algorithm 2."""
    weight_rows = call.packed(call.layer.kernel, _by_filter)
    return ConvolutionSum(call.input, _bias(call.layer), weight_rows, slide_of(call.layer))


_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)


@register_rule(*_TRANSPOSED)
def transposed_convolution(call: TracedCall) -> Sum:
    """Algorithm 2 with the windows of a convolution that goes the other way."""
    weight_rows = call.packed(call.layer.kernel, _by_filter_transposed)
    own = call.input, _bias(call.layer), weight_rows, slide_of(call.layer)
    return TransposedSum(*own, tuple(tf.convert_to_tensor(n) for n in dims(call.output)[:-1]))


def _by_filter(kernel: tf.Tensor) -> tf.Tensor:
    """(*window, C, filters) to (filters · P, C)."""
    channels, filters = kernel.shape[-2:]
    rows = tf.transpose(tf.reshape(kernel, [-1, channels, filters]), [2, 0, 1])
    return tf.reshape(rows, [-1, channels])


def _by_filter_transposed(kernel: tf.Tensor) -> tf.Tensor:
    """(*window, filters, C) to (filters · P, C), the last tap first, as `Windows` has them."""
    window = list(range(len(kernel.shape) - 2))
    return _by_filter(tf.linalg.matrix_transpose(tf.reverse(kernel, window)))


@register_rule(layers.DepthwiseConv1D, layers.DepthwiseConv2D)
def depthwise_convolution(call: TracedCall) -> Sum:
    """Each window has one channel, so there is none to choose: positions compete alone."""
    kernel = depthwise_kernel(call.layer)
    return DepthwiseSum(call.input, _bias(call.layer), kernel, slide_of(call.layer))


@register_operation("convolved", follows=[0])
def convolution_with_computed(call: TracedCall) -> Sum:
    """Algorithm 2, where the kernel is what a layer computes of its variables."""
    kernel = _computed_kernel(call)
    groups = call.input.shape[-1] // kernel.shape[-2]
    return ConvolutionSum(
        call.input, None, _by_filter(kernel), _slide_of_bare(call, kernel, groups)
    )


@register_operation("convolvedapart", follows=[0])
def depthwise_with_computed(call: TracedCall) -> Sum:
    """As of layers, where the kernel is what a layer computes of its variables."""
    kernel = _computed_kernel(call)
    return DepthwiseSum(call.input, None, kernel, _slide_of_bare(call, kernel, 1))


def _computed_kernel(call: TracedCall) -> tf.Tensor:
    kernel = call.operands[1]
    return as_tensor(kernel) if is_variable(kernel) else tf.cast(kernel, tf.float32)


def _slide_of_bare(call: TracedCall, kernel: tf.Tensor, groups: int) -> Slide:
    given, size = call.arguments, tuple(kernel.shape[:-2])
    return Slide(size, given["strides"], given["dilation"], given["padding"], groups)


@dataclass(frozen=True)
class DenseSum(LinearSum):
    """Every input unit is a group of its own.

    Attributes:
        weights: (units, features) float32.
    """

    group_limit = "top_n"

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        rows = tf.reshape(source, [-1, tf.shape(weights)[1]])
        units = tf.matmul(rows, weights, transpose_b=True)
        return tf.reshape(units, tf.concat([tf.shape(source)[:-1], [-1]], 0))


@dataclass(frozen=True)
class ConvolutionSum(LinearSum):
    """The channels are the groups, the positions in the window their members.

    Attributes:
        weights: (filters · P, C) float32, P positions for each filter; C is less than the
            input has where the convolution is grouped.
        slide: How the windows slide.
    """

    group_limit = "channels"
    member_limit = "positions"

    slide: Slide

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        size, strides, dilation, padding, groups, _ = self.slide
        by_filter = tf.reshape(weights, [-1, *size, tf.shape(weights)[1]])
        kernel = tf.transpose(by_filter, [*range(1, len(size) + 2), 0])
        kernel = _spread_taps(kernel, size, dilation)
        if padding == "causal":
            before = (size[0] - 1) * dilation[0]
            source, padding = tf.pad(source, [[0, 0], [before, 0], [0, 0]]), "valid"
        # One by one: TensorFlow has no gradient of grouped convolutions on the CPU.
        pairs = zip(tf.split(source, groups, -1), tf.split(kernel, groups, -1), strict=True)
        sums = [tf.nn.convolution(s, k, strides, padding.upper()) for s, k in pairs]
        return tf.concat(sums, axis=-1)


@dataclass(frozen=True)
class TransposedSum(ConvolutionSum):
    """As `ConvolutionSum`: only the windows differ, and the order of their taps.

    Attributes:
        output_dims: Sizes of the output's spatial axes, int scalars.
    """

    output_dims: tuple[tf.Tensor, ...]

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        size, strides, dilation, padding, *_ = self.slide
        by_filter = tf.reshape(weights, [-1, *size, tf.shape(weights)[1]])
        by_filter = tf.reverse(by_filter, list(range(1, len(size) + 1)))
        kernel = tf.transpose(by_filter, [*range(1, len(size) + 1), 0, len(size) + 1])
        kernel = _spread_taps(kernel, size, dilation)
        spatial = [tf.cast(n, tf.int32) for n in self.output_dims]
        shape = tf.stack([tf.shape(source)[0], *spatial, tf.shape(by_filter)[0]])
        return tf.nn.conv_transpose(source, kernel, shape, strides, padding.upper())


@dataclass(frozen=True)
class DepthwiseSum(LinearSum):
    """Every position in the window is a group of its own.

    Attributes:
        weights: (*window, channels, multiplier) float32.
        slide: How the windows slide.
    """

    group_limit = "positions"

    slide: Slide

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        size, strides, dilation, padding, *_ = self.slide
        weights = _spread_taps(weights, size, dilation)
        if len(size) == 1:
            # TensorFlow knows two dimensions only, with equal strides.
            source, weights, strides = source[:, None], weights[None], strides * 2
        return tf.raw_ops.DepthwiseConv2dNative(
            input=source, filter=weights, strides=[1, *strides, 1], padding=padding.upper()
        )


def _bias(layer) -> tf.Tensor | None:
    return as_tensor(layer.bias) if layer.use_bias else None


def _spread_taps(weights: tf.Tensor, size: Sequence[int], dilation: Sequence[int]) -> tf.Tensor:
    """A dilated window's weights (*size, ...) with the zeros between that make it an ordinary one:
    TensorFlow's gradients know no dilation on every CPU.
    """
    for axis, (taps, spread) in enumerate(zip(size, dilation, strict=True)):
        if spread > 1:
            rows = tf.unstack(weights, taps, axis)
            nothing = [tf.zeros_like(rows[0])] * (spread - 1)
            apart = [row for tap in rows for row in (tap, *nothing)]
            weights = tf.stack(apart[: 1 - spread], axis)
    return weights


def slide_of(layer) -> Slide:
    """How the window of a convolution's layer slides."""
    size, groups = as_tuple(layer.kernel_size), getattr(layer, "groups", 1)
    strides, dilation = as_tuple(layer.strides), as_tuple(layer.dilation_rate)
    transposed = isinstance(layer, _TRANSPOSED)
    return Slide(size, strides, dilation, layer.padding, groups, transposed)
