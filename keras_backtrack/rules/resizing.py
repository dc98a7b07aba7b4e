"""Layers that change the size of pictures by averaging over neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from ..graph.compat import keras
from .contributions import Arrival, At, Extreme, Groups, LinearSum, Moves, Sum, single_groups
from .indexing import dims, largest, unravel, value_at
from .registry import register_rule
from .reshaping import moved
from .traced_call import TracedCall

layers = keras.layers


def _of_each_rank(name: str) -> tuple[type, ...]:
    """Layers that Keras 2.15 does not have."""
    names = [f"{name}{rank}D" for rank in (1, 2, 3)]
    return tuple(getattr(layers, name) for name in names if hasattr(layers, name))


_AVERAGE, _MAX = _of_each_rank("AdaptiveAveragePooling"), _of_each_rank("AdaptiveMaxPooling")


@register_rule(layers.Resizing, layers.UpSampling2D, *_AVERAGE)
def resized(call: TracedCall) -> Sum | Moves:
    """Each unit is a mean over a few positions of its channel, spread like a Dense layer's."""
    if getattr(call.layer, "interpolation", "") == "nearest":
        return moved(call)
    return ResizedSum(call.input, None, tf.ones([]), _along(call))


def adaptive_max_pooling(call: TracedCall) -> Extreme:
    """As max pooling, its windows now and then larger."""
    along = _along(call)

    def to(at: At) -> list[Arrival]:
        unit, value, weight = _taps(call.input, along, at)
        return [Arrival(largest(tf.where(weight > 0, value, -float("inf")), unit))]

    return Extreme(to)


if _MAX:
    register_rule(*_MAX)(adaptive_max_pooling)


def _along(call: TracedCall) -> tuple[tf.Tensor, ...]:
    """What each position along each axis counts for each of the output: (output, input) float32.

    Every axis is resized by itself, so that is what the layer makes of pictures that are 1 in one
    row.
    """
    weights = []
    spatial = dims(call.input)[:-1]
    # Adaptive pooling takes no picture smaller than what it makes.
    least = (
        dims(call.output)[:-1] if isinstance(call.layer, (*_AVERAGE, *_MAX)) else [1] * len(spatial)
    )
    for axis, size in enumerate(spatial):
        shape = [size, *(size if a == axis else 1 for a in range(len(spatial))), 1]
        whole = [size, *(size if a == axis else n for a, n in enumerate(least)), 1]
        rows = tf.reshape(tf.eye(size, dtype=call.input.dtype), shape)
        response = call.run([tf.broadcast_to(rows, whole)])
        rest = [a + 1 for a in range(len(spatial)) if a != axis]
        rows = tf.reduce_mean(tf.cast(response, tf.float32), [*rest, len(spatial) + 1])
        weights.append(tf.transpose(rows))
    return tuple(weights)


def _taps(source: tf.Tensor, along: Sequence[tf.Tensor], at: At) -> tuple[tf.Tensor, ...]:
    """The positions that count for M units, all (M, taps): unit, value there, what it counts.

    In row-major order, as ties go to the first; some may count nothing.
    """
    *spatial, channels = tf.unstack(tf.shape(source, tf.int64), source.shape.rank)[1:]
    output = [tf.shape(rows, tf.int64)[0] for rows in along]
    *place, channel = unravel(at.unit, [*output, channels])
    position = tf.zeros([tf.size(at.unit), 1], tf.int64)
    weight = tf.ones([tf.size(at.unit), 1])
    for rows, coordinate, size in zip(along, place, spatial, strict=True):
        count = tf.reduce_max(tf.math.count_nonzero(rows, 1, tf.int32))
        taps = tf.sort(tf.math.top_k(rows, count).indices, axis=1)
        share = tf.gather(rows, taps, batch_dims=1)
        taps, share = (tf.gather(t, coordinate)[:, None, :] for t in (taps, share))
        position = position[:, :, None] * size + tf.cast(taps, tf.int64)
        position = tf.reshape(position, [tf.size(at.unit), -1])
        weight = tf.reshape(weight[:, :, None] * share, tf.shape(position))
    unit = position * channels + channel[:, None]
    return unit, value_at(source, at.image[:, None], unit), weight


@dataclass(frozen=True)
class ResizedSum(LinearSum):
    """Every position that counts for a unit is a group of its own.

    Attributes:
        along: For each spatial axis (output size, input size) float32, what each position counts.
    """

    group_limit = "top_n"
    is_channelwise = True

    along: tuple[tf.Tensor, ...]

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        for axis, rows in enumerate(self.along, 1):
            resized = tf.tensordot(rows, source, [[1], [axis]])
            order = [*range(1, axis + 1), 0, *range(axis + 1, source.shape.rank)]
            source = tf.transpose(resized, order)
        return source * weights

    @property
    def width(self) -> tf.Tensor:
        counts = [tf.reduce_max(tf.math.count_nonzero(rows, 1)) for rows in self.along]
        return tf.maximum(tf.reduce_prod(tf.stack(counts)), 1)

    def groups(self, at: At, bias: tf.Tensor | None) -> Groups:
        unit, value, weight = _taps(self.source, self.along, at)

        def unit_at(parent: tf.Tensor, choice: tf.Tensor) -> tf.Tensor:
            return tf.gather_nd(unit, tf.stack([parent, choice], axis=1))

        return single_groups(at.sign[:, None] * (value * weight), unit_at, None)
