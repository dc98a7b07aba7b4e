"""Pooling layers (paper: III-C, Algorithm 3)."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from ..graph.compat import as_tuple, keras, operation_name
from .contraction import ContractionSum, reduced_axes
from .contributions import Arrival, At, LinearSum, Moves, Sum, WindowMaximum
from .indexing import dims, product, unravel, value_at
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
    windows = _windows(call)

    def to(at: At) -> list[Arrival]:
        value, unit, inside = _look(call.input, windows, at)
        winner = tf.math.top_k(tf.where(inside, value, -float("inf")), 1).indices
        return [Arrival(tf.gather(unit, winner, batch_dims=1)[:, 0])]

    return WindowMaximum(to, _max_back(call), windows=windows, slide=_slide(call.layer))


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
    return MeanSum(call.input, None, _windows(call), _slide(call.layer))


@register_operation("max", "min")
def extreme_along_axes(call: TracedCall) -> Moves:
    """Along some axes, as a pooling window."""
    least = operation_name(call.layer) == "min"
    along, sizes = reduced_axes(call), dims(call.input)
    inside = unravel(
        tf.range(tf.cast(product([sizes[a] for a in along]), tf.int64)), [sizes[a] for a in along]
    )
    kept = [a for a in range(len(sizes)) if a not in along]

    def to(at: At) -> list[Arrival]:
        place = dict(zip(along, (c[None] for c in inside), strict=True))
        outside = unravel(at.unit, [sizes[a] for a in kept])
        place.update(zip(kept, (c[:, None] for c in outside), strict=True))
        unit = tf.zeros(tf.stack([tf.size(at.unit), tf.size(inside[0])]), tf.int64)
        for a, size in enumerate(sizes):
            unit = unit * size + place[a]
        value = value_at(call.input, at.image[:, None], unit)
        winner = tf.math.top_k(-value if least else value, 1).indices
        return [Arrival(tf.gather(unit, winner, batch_dims=1)[:, 0])]

    return Moves(to)


@dataclass(frozen=True)
class MeanSum(LinearSum):
    """Every position in the window is a group of its own.

    Attributes:
        windows: What each output position reads.
        slide: How the windows slide; None where there is one that sees everything.
    """

    group_limit = "top_n"
    is_channelwise = True

    windows: Windows
    slide: Slide | None

    @property
    def weights(self) -> tf.Tensor:
        return tf.ones([])

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        if self.slide is None:
            means = tf.reduce_mean(source, axis=list(range(1, source.shape.rank - 1)))
        else:
            means = tf.nn.avg_pool(
                source, self.slide.size, self.slide.strides, self.slide.padding.upper()
            )
        return means * weights


def _max_back(call: TracedCall) -> Callable[[tf.Tensor], list[tf.Tensor]] | None:
    """The gradient of max pooling lies where its choice does."""
    slide = _slide(call.layer)
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


def _windows(call: TracedCall) -> Windows:
    """What each output position of a pooling layer reads."""
    spatial = dims(call.input)[:-1], dims(call.output)[:-1]
    return Windows.sliding(*spatial, _slide(call.layer)).as_tensors()


def _look(source: tf.Tensor, windows: Windows, at: At) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Value, unit and whether it is real of every tap; all (M, taps)."""
    channels = tf.shape(source, tf.int64)[-1]
    row, inside = windows.rows(at.unit // channels)
    unit = tf.cast(row, tf.int64) * channels + (at.unit % channels)[:, None]
    return value_at(source, at.image[:, None], unit), unit, inside
