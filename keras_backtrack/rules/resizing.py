"""Layers that change the size of pictures by averaging over neighbours."""

from dataclasses import dataclass

import tensorflow as tf

from ..compat import keras
from ..contributions import (
    At,
    Groups,
    Members,
    Moves,
    Sum,
    TracedCall,
    dims,
    unravel,
    value_at,
)
from .registry import register_rule
from .shape import moved

layers = keras.layers

_ADAPTIVE = tuple(
    getattr(layers, name)
    for name in (f"AdaptiveAveragePooling{rank}D" for rank in (1, 2, 3))
    if hasattr(layers, name)
)


@register_rule(layers.Resizing, layers.UpSampling2D, *_ADAPTIVE)
def resized(call: TracedCall) -> Sum | Moves:
    """Each unit is a mean over a few positions of its channel, spread like a Dense layer's.

    Every axis is resized by itself: what it weighs positions with is what the layer makes of
    pictures that are 1 in one row.
    """
    if getattr(call.layer, "interpolation", "") == "nearest":
        return moved(call)
    weights = []
    spatial = dims(call.input)[:-1]
    # Adaptive pooling takes no picture smaller than what it makes.
    least = dims(call.output)[:-1] if isinstance(call.layer, _ADAPTIVE) else [1] * len(spatial)
    for axis, size in enumerate(spatial):
        shape = [size, *(size if a == axis else 1 for a in range(len(spatial))), 1]
        whole = [size, *(size if a == axis else n for a, n in enumerate(least)), 1]
        rows = tf.reshape(tf.eye(size, dtype=call.input.dtype), shape)
        response = call.run([tf.broadcast_to(rows, whole)])
        rest = [a + 1 for a in range(len(spatial)) if a != axis]
        rows = tf.reduce_mean(tf.cast(response, tf.float32), [*rest, len(spatial) + 1])
        weights.append(tf.transpose(rows))
    return ResizedSum(call.input, None, tuple(weights))


@dataclass(frozen=True)
class ResizedSum(Sum):
    """Every position that counts for a unit is a group of its own.

    Attributes:
        along: For each spatial axis (output size, input size) float32, what each position counts.
    """

    group_limit = "top_n"

    along: tuple[tf.Tensor, ...]

    @property
    def weights(self) -> tf.Tensor:
        return tf.ones([])

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

    def groups(self, at: At, bias: tf.Tensor | None, limit: int | None) -> Groups:
        spatial = tf.unstack(tf.shape(self.source, tf.int64), self.source.shape.rank)[1:]
        channels = spatial.pop()
        output = [tf.shape(rows, tf.int64)[0] for rows in self.along]
        *place, channel = unravel(at.unit, [*output, channels])
        position = tf.zeros([tf.size(at.unit), 1], tf.int64)
        weight = tf.ones([tf.size(at.unit), 1])
        for rows, coordinate, size in zip(self.along, place, spatial, strict=True):
            count = tf.reduce_max(tf.math.count_nonzero(rows, 1, tf.int32))
            # In the order of their positions, as ties go to the first.
            taps = tf.sort(tf.math.top_k(rows, count).indices, axis=1)
            share = tf.gather(rows, taps, batch_dims=1)
            taps, share = (tf.gather(t, coordinate)[:, None, :] for t in (taps, share))
            position = position[:, :, None] * size + tf.cast(taps, tf.int64)
            position = tf.reshape(position, [tf.size(at.unit), -1])
            weight = tf.reshape(weight[:, :, None] * share, tf.shape(position))
        unit = position * channels + channel[:, None]
        value = at.sign[:, None] * (value_at(self.source, at.image[:, None], unit) * weight)

        def members(parent: tf.Tensor, choice: tf.Tensor) -> Members:
            chosen = tf.stack([parent, choice], axis=1)
            return Members(tf.gather_nd(unit, chosen), tf.ones_like(parent, tf.float32))

        return Groups(value, members)
