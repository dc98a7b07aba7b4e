"""Pooling layers (paper: III-C, Algorithm 3)."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from ..graph.compat import as_tuple, keras, operation_name
from .contraction import ContractionSum, reduced_axes
from .contributions import Arrival, At, Extreme, LinearSum, Sum, WindowMaximum
from .indexing import dims, largest, product, units_of, value_at
from .registry import register_operation, register_rule
from .traced_call import TracedCall
from .windows import Slide, Windows

layers = keras.layers


@register_rule(
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D),
)
def max_pooling(call: TracedCall) -> WindowMaximum:
    """Algorithm 3: what came through is the largest of the window; ties go to the first."""
    slide, spatial = _slide(call.layer), (dims(call.input)[:-1], dims(call.output)[:-1])
    windows = Windows.sliding(*spatial, slide)

    def to(at: At) -> list[Arrival]:
        value, unit, inside = _look(call.input, windows, at)
        return [Arrival(largest(tf.where(inside, value, -float("inf")), unit))]

    return WindowMaximum(to, _max_back(call, slide), slide=slide)


@register_rule(
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
    *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D),
)
def average_pooling(call: TracedCall) -> Sum:
    """A sum with equal weights, spread like a Dense layer's."""
    if len(call.inputs) > 1:
        # A mask says which steps of a sequence count.
        mask = tf.cast(call.inputs[1], tf.float32)
        return ContractionSum(call.input, None, mask, "tc", "t", "c", True)
    return MeanSum(call.input, None, tf.ones([]), _slide(call.layer))


@register_operation("max", "min")
def extreme_along_axes(call: TracedCall) -> Extreme:
    """Along some axes, as a pooling window."""
    least = operation_name(call.layer) == "min"
    along, sizes = reduced_axes(call), dims(call.input)
    kept = [axis for axis in range(len(sizes)) if axis not in along]
    places = tf.reshape(tf.range(units_of(call.input)), sizes)
    window = product([sizes[axis] for axis in along])
    windows = tf.reshape(tf.transpose(places, [*kept, *along]), [-1, window])

    def to(at: At) -> list[Arrival]:
        unit = tf.gather(windows, at.unit)
        value = value_at(call.input, at.image[:, None], unit)
        return [Arrival(largest(-value if least else value, unit))]

    return Extreme(to)


@dataclass(frozen=True)
class MeanSum(LinearSum):
    """Every position in the window is a group of its own.

    Attributes:
        slide: How the windows slide; None where there is one that sees everything.
    """

    group_limit = "top_n"
    is_channelwise = True

    slide: Slide | None

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        if self.slide is None:
            means = tf.reduce_mean(source, axis=list(range(1, source.shape.rank - 1)))
        else:
            means = tf.nn.avg_pool(
                source, self.slide.size, self.slide.strides, self.slide.padding.upper()
            )
        return means * weights


def _max_back(
    call: TracedCall, slide: Slide | None
) -> Callable[[tf.Tensor], list[tf.Tensor]] | None:
    """The gradient of max pooling lies where its choice does."""
    if slide is None or len(slide.size) != 2:
        return None

    def back(mass: tf.Tensor) -> list[tf.Tensor]:
        size, strides = [1, *slide.size, 1], [1, *slide.strides, 1]
        source, output = (tf.cast(t, tf.float32) for t in (call.input, call.output))
        gradient = tf.raw_ops.MaxPoolGrad(
            orig_input=source,
            orig_output=output,
            grad=mass,
            ksize=size,
            strides=strides,
            padding=slide.padding.upper(),
        )
        return [gradient]

    return back


def _slide(layer) -> Slide | None:
    if not hasattr(layer, "pool_size"):
        return None
    size, strides = as_tuple(layer.pool_size), as_tuple(layer.strides)
    return Slide(size, strides, (1,) * len(size), layer.padding)


def _look(source: tf.Tensor, windows: Windows, at: At) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Value, unit and whether it is real of every tap; all (M, taps)."""
    channels = tf.shape(source, tf.int64)[-1]
    row, inside = windows.rows(at.unit // channels)
    unit = tf.cast(row, tf.int64) * channels + (at.unit % channels)[:, None]
    return value_at(source, at.image[:, None], unit), unit, inside
