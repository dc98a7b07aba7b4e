"""Dense and convolutional layers: weighted sums (paper: III-A, Algorithm 1; III-B, Algorithm 2)."""

from dataclasses import dataclass

import tensorflow as tf

from ..compat import as_tensor, depthwise_kernel, keras
from ..contributions import At, Members, Sum, TracedCall, dims
from ..kernels import window_sums
from ..nodes import sorted_unique
from ..windows import Windows
from .registry import register_rule

layers = keras.layers


@register_rule(layers.Dense)
def dense(call: TracedCall) -> Sum:
    """Algorithm 1, on the last axis."""
    bias = _bias(call.layer)
    # Where an input is 0 in the whole batch its products are 0 and never chosen, unless a bias is
    # added: after a ReLU that spares most of the kernel.
    used = tf.reduce_any(call.input != 0, axis=list(range(call.input.shape.rank - 1)))
    active = tf.where(used | (call.include_bias and bias is not None))[:, 0]
    return DenseSum(call.input, bias, as_tensor(call.layer.kernel), active)


@register_rule(layers.Conv2D)
def convolution(call: TracedCall) -> Sum:
    """Algorithm 2."""
    kernel = as_tensor(call.layer.kernel)
    return ConvolutionSum(call.input, _bias(call.layer), kernel, _windows(call))


@register_rule(layers.DepthwiseConv2D)
def depthwise_convolution(call: TracedCall) -> Sum:
    """Each window has one channel, so there is none to choose: positions compete alone."""
    kernel = depthwise_kernel(call.layer)
    return DepthwiseSum(call.input, _bias(call.layer), kernel, _windows(call))


@dataclass(frozen=True)
class DenseSum(Sum):
    """Every input unit is a group of its own.

    Attributes:
        kernel: (features, units) float32.
        active: (G,) int64, the features that may contribute, in ascending order.
    """

    group_limit = "top_n"

    kernel: tf.Tensor
    active: tf.Tensor

    @property
    def width(self) -> tf.Tensor:
        return tf.size(self.active, tf.int64) + 1

    def groups(self, at: At, bias: tf.Tensor | None) -> tf.Tensor:
        features, units = self._sizes()
        source = tf.reshape(tf.cast(self.source, tf.float32), [-1, features])
        per_image = tf.size(self.source, tf.int64) // features // tf.shape(self.source, tf.int64)[0]
        # Columns of the kernel in ascending order and each once, only rows that matter: most of
        # the time goes into fetching these numbers, which lie far apart in memory.
        column, place = sorted_unique(at.unit % units)
        weight = tf.gather(tf.reshape(self.kernel, [-1]), self.active[:, None] * units + column)
        row = at.image * per_image + at.unit // units
        value = tf.gather(tf.gather(source, self.active, axis=1), row)
        value *= tf.gather(tf.transpose(weight), place)
        value *= at.sign[:, None]
        return value if bias is None else value + bias[:, None]

    def members(self, at: At, group: tf.Tensor, bias: tf.Tensor | None) -> Members:
        features, units = self._sizes()
        feature = tf.gather(self.active, group)
        weight = tf.gather_nd(self.kernel, tf.stack([feature, at.unit % units], axis=1))
        unit = at.unit // units * features + feature
        return Members(tf.ones_like(weight)[:, None], unit[:, None], _sign(weight)[:, None])

    def _sizes(self) -> tf.Tensor:
        return tf.unstack(tf.shape(self.kernel, tf.int64))


@dataclass(frozen=True)
class ConvolutionSum(Sum):
    """The channels are the groups, the positions in the window their members.

    Attributes:
        kernel: (*window, channels, filters) float32; fewer channels than the input where the
            convolution is grouped.
        windows: What each output position reads.
    """

    group_limit = "channels"
    member_limit = "positions"

    kernel: tf.Tensor
    windows: Windows

    def groups(self, at: At, bias: tf.Tensor | None) -> tf.Tensor:
        channels, filters, blocks = self._sizes()
        row, inside = self.windows.rows(at.unit // filters)
        filter_ = at.unit % filters
        row = row * blocks + (filter_ // (filters // blocks))[:, None]
        source = tf.cast(self.source, tf.float32)
        source = tf.reshape(source, [tf.shape(source, tf.int64)[0], -1, channels])
        # Weights of one filter and tap lie together here, in the layer's kernel they do not.
        by_filter = tf.transpose(tf.reshape(self.kernel, [-1, filters]))
        weight_rows = tf.reshape(by_filter, [-1, channels])
        value = window_sums(source, weight_rows, at.image, row, inside, filter_)
        value *= at.sign[:, None]
        if bias is None:
            return value
        return value + (bias * tf.reduce_sum(tf.cast(inside, tf.float32), axis=1))[:, None]

    def members(self, at: At, group: tf.Tensor, bias: tf.Tensor | None) -> Members:
        channels, filters, blocks = self._sizes()
        row, inside = self.windows.rows(at.unit // filters)
        filter_ = at.unit % filters
        channel = filter_ // (filters // blocks) * channels + group
        unit = row * (channels * blocks) + channel[:, None]
        tap = tf.range(self.windows.taps, dtype=tf.int64)
        weight = (tap * channels + group[:, None]) * filters + filter_[:, None]
        weight = tf.gather(tf.reshape(self.kernel, [-1]), weight)
        return _products(self.source, at, unit, weight, inside, bias)

    def _sizes(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Channels and filters of the kernel, and how many blocks a grouped convolution has."""
        *_, channels, filters = tf.unstack(tf.shape(self.kernel, tf.int64))
        return channels, filters, tf.shape(self.source, tf.int64)[-1] // channels


@dataclass(frozen=True)
class DepthwiseSum(Sum):
    """Every position in the window is a group of its own.

    Attributes:
        kernel: (*window, channels, multiplier) float32.
        windows: What each output position reads.
    """

    group_limit = "positions"

    kernel: tf.Tensor
    windows: Windows

    def groups(self, at: At, bias: tf.Tensor | None) -> tf.Tensor:
        return self._look(at, bias).value

    def members(self, at: At, group: tf.Tensor, bias: tf.Tensor | None) -> Members:
        return Members(*(tf.gather(f, group, batch_dims=1)[:, None] for f in self._look(at, bias)))

    def _look(self, at: At, bias: tf.Tensor | None) -> Members:
        *_, channels, multiplier = tf.unstack(tf.shape(self.kernel, tf.int64))
        filters = channels * multiplier
        row, inside = self.windows.rows(at.unit // filters)
        filter_ = at.unit % filters
        unit = row * channels + (filter_ // multiplier)[:, None]
        tap = tf.range(self.windows.taps, dtype=tf.int64)
        weight = tf.gather(tf.reshape(self.kernel, [-1]), tap * filters + filter_[:, None])
        return _products(self.source, at, unit, weight, inside, bias)


def _bias(layer) -> tf.Tensor | None:
    return as_tensor(layer.bias) if layer.use_bias else None


def _windows(call: TracedCall) -> Windows:
    layer = call.layer
    spatial = dims(call.input)[:-1], dims(call.output)[:-1]
    return Windows.sliding(
        *spatial, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding
    )


def _products(source, at: At, unit, weight, inside, bias) -> Members:
    """Contributions of a window's taps, all (L, P)."""
    size = tf.size(source, tf.int64) // tf.shape(source, tf.int64)[0]
    flat = tf.reshape(tf.cast(source, tf.float32), [-1])
    value = tf.gather(flat, (at.image * size)[:, None] + unit) * weight * at.sign[:, None]
    if bias is not None:
        value += bias[:, None]
    return Members(tf.where(inside, value, 0.0), unit, _sign(weight))


def _sign(weight: tf.Tensor) -> tf.Tensor:
    return 1.0 - 2.0 * tf.cast(weight < 0, tf.float32)
