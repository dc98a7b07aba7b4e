"""Dense and convolutional layers: weighted sums (paper: III-A, Algorithm 1; III-B, Algorithm 2)."""

import numpy as np
import tensorflow as tf

from ..compat import as_tensor, depthwise_kernel, keras
from ..contributions import At, Members, Sum, TracedCall, dims, product
from ..kernels import window_sums
from ..nodes import sorted_unique, traced_once
from ..windows import Windows
from .registry import register_rule

layers = keras.layers


@register_rule(layers.Dense)
def dense(call: TracedCall) -> Sum:
    """Algorithm 1, on the last axis."""
    return DenseSum(call, call.include_bias)


@register_rule(layers.Conv2D)
def convolution(call: TracedCall) -> Sum:
    """Algorithm 2."""
    return ConvolutionSum(call)


@register_rule(layers.DepthwiseConv2D)
def depthwise_convolution(call: TracedCall) -> Sum:
    """Each window has one channel, so there is none to choose: positions compete alone."""
    return DepthwiseSum(call)


class DenseSum(Sum):
    """Every input unit is a group of its own."""

    group_limit = "top_n"

    def __init__(self, call: TracedCall, include_bias: bool) -> None:
        self._units = call.output.shape[-1]
        self._features = call.input.shape[-1]
        self._rows = product(dims(call.input)[:-1])
        self._kernel = tf.reshape(as_tensor(call.layer.kernel), [-1])
        source = tf.cast(tf.reshape(call.input, [-1, self._features]), tf.float32)
        self.bias = as_tensor(call.layer.bias) if call.layer.use_bias else None
        # Where an input is 0 in the whole batch its products are 0 and never chosen, unless a
        # bias is added: after a ReLU that spares most of the kernel.
        used = tf.reduce_any(source != 0, axis=0) | (include_bias and self.bias is not None)
        self._active = tf.where(used)[:, 0]
        self._input = tf.gather(source, self._active, axis=1)
        self.width = tf.size(self._active, tf.int64) + 1

    def groups(self, at: At, bias: tf.Tensor | None) -> tf.Tensor:
        # Columns of the kernel in ascending order and each once, only rows that matter: most of
        # the time goes into fetching these numbers, which lie far apart in memory.
        filters, place = sorted_unique(at.unit % self._units)
        dtype = tf.int32 if self._kernel.shape[0] < 2**31 else tf.int64
        first = tf.cast(self._active, dtype)[:, None] * self._units
        weight = tf.transpose(tf.gather(self._kernel, first + tf.cast(filters, dtype)))
        row = at.image * self._rows + at.unit // self._units
        value = tf.gather(self._input, row) * tf.gather(weight, place)
        value *= at.sign[:, None]
        return value if bias is None else value + bias[:, None]

    def members(self, at: At, group: tf.Tensor, bias: tf.Tensor | None) -> Members:
        feature = tf.gather(self._active, group)
        weight = tf.gather(self._kernel, feature * self._units + at.unit % self._units)
        unit = at.unit // self._units * self._features + feature
        one = tf.ones_like(weight)
        return Members(one[:, None], unit[:, None], tf.where(weight < 0, -one, one)[:, None])


class ConvolutionSum(Sum):
    """The channels are the groups, the positions in the window their members."""

    group_limit = "channels"
    member_limit = "positions"

    def __init__(self, call: TracedCall) -> None:
        layer = call.layer
        self._windows = _windows(call, layer.kernel_size, layer.strides, layer.dilation_rate)
        self._input = call.input
        self._in_channels = call.input.shape[-1]
        self._filters = call.output.shape[-1]
        self._channels = self._in_channels // layer.groups
        self._per_group = self._filters // layer.groups
        self._positions = product(dims(call.input)[:-1])
        self._kernel = as_tensor(layer.kernel)
        self.bias = as_tensor(layer.bias) if layer.use_bias else None
        # Weights of one filter and tap lie together here, in the layer's kernel they do not.
        by_filter = tf.transpose(tf.reshape(self._kernel, [-1, self._filters]))
        self._weight_rows = tf.reshape(by_filter, [-1, self._channels])

    def groups(self, at: At, bias: tf.Tensor | None) -> tf.Tensor:
        row, inside = self._windows.rows(at.unit // self._filters)
        filters = at.unit % self._filters
        groups = self._in_channels // self._channels
        row = row * groups + (filters // self._per_group)[:, None]
        source = tf.cast(self._input, tf.float32)
        source = tf.reshape(source, [-1, self._positions * groups, self._channels])
        value = window_sums(source, self._weight_rows, at.image, row, inside, filters)
        value *= at.sign[:, None]
        if bias is None:
            return value
        return value + (bias * tf.reduce_sum(tf.cast(inside, tf.float32), axis=1))[:, None]

    def members(self, at: At, group: tf.Tensor, bias: tf.Tensor | None) -> Members:
        row, inside = self._windows.rows(at.unit // self._filters)
        filters = at.unit % self._filters
        channel = (filters // self._per_group) * self._channels + group
        unit = row * self._in_channels + channel[:, None]
        tap = np.arange(self._windows.taps)
        weight = (tap * self._channels + group[:, None]) * self._filters + filters[:, None]
        weight = tf.gather(tf.reshape(self._kernel, [-1]), weight)
        return _members(self._input, at, unit, weight, inside, bias)


class DepthwiseSum(Sum):
    """Every position in the window is a group of its own."""

    group_limit = "positions"

    def __init__(self, call: TracedCall) -> None:
        layer = call.layer
        self._windows = _windows(call, layer.kernel_size, layer.strides, layer.dilation_rate)
        self._input = call.input
        self._in_channels = call.input.shape[-1]
        self._filters = call.output.shape[-1]
        self._kernel = tf.reshape(depthwise_kernel(layer), [-1])
        self.bias = as_tensor(layer.bias) if layer.use_bias else None

    def groups(self, at: At, bias: tf.Tensor | None) -> tf.Tensor:
        return self._look(at, bias).value

    def members(self, at: At, group: tf.Tensor, bias: tf.Tensor | None) -> Members:
        return Members(*(tf.gather(f, group, batch_dims=1)[:, None] for f in self._look(at, bias)))

    def _look(self, at: At, bias: tf.Tensor | None) -> Members:
        row, inside = self._windows.rows(at.unit // self._filters)
        filters = at.unit % self._filters
        channel = filters // (self._filters // self._in_channels)
        unit = row * self._in_channels + channel[:, None]
        tap = np.arange(self._windows.taps)
        weight = tf.gather(self._kernel, tap * self._filters + filters[:, None])
        return _members(self._input, at, unit, weight, inside, bias)


def _windows(call: TracedCall, size, strides, dilation) -> Windows:
    input_dims, output_dims = dims(call.input)[:-1], dims(call.output)[:-1]
    return Windows(input_dims, output_dims, size, strides, dilation, call.layer.padding)


def _members(source, at: At, unit, weight, inside, bias) -> Members:
    """Products of a window's taps, all (L, P)."""
    size = product(dims(source))
    bias = tf.zeros_like(at.sign) if bias is None else bias
    flat = tf.cast(tf.reshape(source, [-1]), tf.float32)
    value, flip = _products(flat, at.image * size, unit, weight, at.sign, inside, bias)
    return Members(value, unit, flip)


_VECTOR, _TABLE = [None], [None, None]


@traced_once(
    (_VECTOR, tf.float32),
    (_VECTOR, tf.int64),
    (_TABLE, tf.int64),
    (_TABLE, tf.float32),
    (_VECTOR, tf.float32),
    (_TABLE, tf.bool),
    (_VECTOR, tf.float32),
)
def _products(flat, start, unit, weight, sign, inside, bias):
    value = tf.gather(flat, start[:, None] + unit) * weight * sign[:, None] + bias[:, None]
    return tf.where(inside, value, 0.0), 1.0 - 2.0 * tf.cast(weight < 0, tf.float32)
