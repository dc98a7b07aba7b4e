"""Dense and convolutional layers: weighted sums (paper: III-A, Algorithm 1; III-B, Algorithm 2)."""

import tensorflow as tf

from ..compat import as_tensor, depthwise_kernel, keras
from ..contributions import At, Members, Sum, TracedCall, dims, product, value_at
from ..windows import Windows
from .registry import register_rule

layers = keras.layers


@register_rule(layers.Dense)
def dense(call: TracedCall) -> Sum:
    """Algorithm 1, on the last axis."""
    return DenseSum(call)


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

    def __init__(self, call: TracedCall) -> None:
        self._units = call.output.shape[-1]
        self._features = call.input.shape[-1]
        self._rows = product(dims(call.input)[:-1])
        self._input = tf.cast(tf.reshape(call.input, [-1, self._features]), tf.float32)
        self._kernel = tf.reshape(as_tensor(call.layer.kernel), [-1])
        self.bias = as_tensor(call.layer.bias) if call.layer.use_bias else None
        self.width = self._features
        # Where an input is 0 in the whole batch its products are 0 and never chosen: after a
        # ReLU that spares most of the kernel, whose columns lie far apart in memory.
        self._active = tf.where(tf.reduce_any(self._input != 0, axis=0))[:, 0]

    def groups(self, at: At, bias: tf.Tensor | None) -> tf.Tensor:
        active = self._active if bias is None else tf.range(self._features, dtype=tf.int64)
        row = at.image * self._rows + at.unit // self._units
        weight = tf.gather(self._kernel, active[:, None] * self._units + at.unit % self._units)
        value = tf.gather(tf.gather(self._input, active, axis=1), row)
        value *= tf.transpose(weight) * at.sign[:, None]
        if bias is None:
            return value
        return value + bias[:, None]

    def members(self, at: At, group: tf.Tensor, bias: tf.Tensor | None) -> Members:
        feature = group if bias is not None else tf.gather(self._active, group)
        weight = tf.gather(self._kernel, feature * self._units + at.unit % self._units)
        unit = (at.unit // self._units) * self._features + feature
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
        self.width = self._channels
        # Rows of weights that lie together for each filter and tap, and one row of zeros more
        # for taps in the padding: cheaper than masking what was read there.
        taps = self._windows.taps
        by_filter = tf.transpose(tf.reshape(self._kernel, [-1, self._filters]))
        by_filter = tf.reshape(by_filter, [self._filters * taps, self._channels])
        self._weight_rows = tf.pad(by_filter, [[0, 1], [0, 0]])

    def groups(self, at: At, bias: tf.Tensor | None) -> tf.Tensor:
        row, inside = self._windows.rows(at.unit // self._filters)
        filters = at.unit % self._filters
        groups = self._in_channels // self._channels
        row = (at.image[:, None] * self._positions + row) * groups
        row += (filters // self._per_group)[:, None]
        taps = self._windows.taps
        weight_row = filters[:, None] * taps + tf.range(taps, dtype=tf.int64)
        weight_row = tf.where(inside, weight_row, self._filters * taps)
        patches = tf.reshape(self._input, [-1, self._channels])
        # Tap by tap, so that the products of all taps never exist at once; in row-major order,
        # which makes the sums the same on every machine.
        value = tf.zeros([], tf.float32)
        for tap in range(taps):
            inputs = tf.cast(tf.gather(patches, row[:, tap]), tf.float32)
            value += inputs * tf.gather(self._weight_rows, weight_row[:, tap])
        value *= at.sign[:, None]
        if bias is None:
            return value
        return value + (bias * tf.reduce_sum(tf.cast(inside, tf.float32), axis=1))[:, None]

    def members(self, at: At, group: tf.Tensor, bias: tf.Tensor | None) -> Members:
        row, inside = self._windows.rows(at.unit // self._filters)
        filters = at.unit % self._filters
        channel = (filters // self._per_group) * self._channels + group
        unit = row * self._in_channels + channel[:, None]
        tap = tf.range(self._windows.taps, dtype=tf.int64)
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
        self.width = self._windows.taps

    def groups(self, at: At, bias: tf.Tensor | None) -> tf.Tensor:
        return self._look(at, bias).value

    def members(self, at: At, group: tf.Tensor, bias: tf.Tensor | None) -> Members:
        return Members(*(tf.gather(f, group, batch_dims=1)[:, None] for f in self._look(at, bias)))

    def _look(self, at: At, bias: tf.Tensor | None) -> Members:
        row, inside = self._windows.rows(at.unit // self._filters)
        filters = at.unit % self._filters
        channel = filters // (self._filters // self._in_channels)
        unit = row * self._in_channels + channel[:, None]
        tap = tf.range(self._windows.taps, dtype=tf.int64)
        weight = tf.gather(self._kernel, tap * self._filters + filters[:, None])
        return _members(self._input, at, unit, weight, inside, bias)


def _windows(call: TracedCall, size, strides, dilation) -> Windows:
    input_dims, output_dims = dims(call.input)[:-1], dims(call.output)[:-1]
    return Windows(input_dims, output_dims, size, strides, dilation, call.layer.padding)


def _members(input, at: At, unit, weight, inside, bias) -> Members:
    """Products of a window's taps, all (L, P)."""
    image = tf.broadcast_to(at.image[:, None], tf.shape(unit))
    value = value_at(input, image, unit) * weight * at.sign[:, None]
    if bias is not None:
        value += bias[:, None]
    flip = tf.where(weight < 0, -tf.ones_like(weight), tf.ones_like(weight))
    return Members(tf.where(inside, value, 0.0), unit, flip)
