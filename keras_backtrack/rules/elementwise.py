"""Layers that act on each unit alone: nodes stay in place, and flip where the scale is negative."""

from collections.abc import Sequence

import tensorflow as tf

from ..graph.compat import as_tensor, is_variable, keras, operation_name
from .activations import ACTIVATION_LAYERS, NAMES, NOTHING_IN_INFERENCE
from .contributions import Arrival, At, Moves, Same, same_place
from .indexing import flip_of, value_at
from .registry import register_operation, register_rule
from .traced_call import TracedCall

layers = keras.layers


@register_rule(layers.Activation, *ACTIVATION_LAYERS, *NOTHING_IN_INFERENCE, layers.Masking)
@register_operation(*(name.replace("_", "") for name in NAMES))
@register_operation("cast", "clip", "copy", "exp", "expm1", "identity", "log", "log1p", "normalize")
@register_operation("arcsinh", "arctan", "asinh", "atan", "erf", "erfinv", "log10", "log2", "sinh")
@register_operation("localresponsenormalization", "lrn", "nantonum", "tan")
@register_operation("ceil", "floor", "rint", "round", "sign", "sqrt", "stopgradient", "trunc")
def unchanged(call: TracedCall) -> Same:
    """Activations, and what only acts in training or not on values at all."""
    return same_place()


@register_rule(layers.PReLU)
def prelu(call: TracedCall) -> Moves:
    """A learned slope below zero, which may have become negative."""
    slopes = tf.reshape(tf.broadcast_to(as_tensor(call.layer.alpha), call.input.shape[1:]), [-1])

    def to(at: At) -> list[Arrival]:
        falling = (value_at(call.input, at.image, at.unit) < 0) & (tf.gather(slopes, at.unit) < 0)
        return [Arrival(at.unit, 1.0 - 2.0 * tf.cast(falling, tf.float32))]

    return Moves(to)


@register_operation("shifted", follows=[0])
def shifted(call: TracedCall) -> Same:
    """By a number that is taken off again, so it is a constant."""
    return same_place()


@register_operation("cos", "sin")
def wave(call: TracedCall) -> Moves:
    """Rises and falls."""
    is_sine = operation_name(call.layer) == "sin"

    def to(at: At) -> list[Arrival]:
        here = value_at(call.input, at.image, at.unit)
        return [Arrival(at.unit, flip_of(tf.cos(here) if is_sine else -tf.sin(here)))]

    return Moves(to)


@register_rule(layers.BatchNormalization)
def batch_normalization(call: TracedCall) -> Same:
    """In inference an affine function of each channel; its gamma may be negative."""
    if not call.layer.scale:
        return same_place()
    axis = call.layer.axis
    axis = axis[0] if isinstance(axis, (list, tuple)) else axis
    copies = 1 if axis == -1 else call.output.shape[axis:][1:].num_elements() or 1
    return same_place(tf.repeat(as_tensor(call.layer.gamma), copies))


_STATISTICAL = tuple(
    getattr(layers, name)
    for name in ("GroupNormalization", "LayerNormalization", "RMSNormalization")
    if hasattr(layers, name)
)


@register_rule(*_STATISTICAL)
def statistical_normalization(call: TracedCall) -> Same:
    """Mean and deviation of the input are taken as constants; gamma may be negative."""
    layer = call.layer
    gamma = getattr(layer, "gamma", None)
    if gamma is None:
        gamma = getattr(layer, "scale", None)
    if gamma is None or isinstance(gamma, bool):
        return same_place()
    return _scaled(call, as_tensor(gamma), layer.axis)


@register_operation("batchnorm", "layernorm", "rmsnorm", follows=[0])
def bare_normalization(call: TracedCall) -> Same:
    """As of layers: mean and deviation are constants; the scale may be negative."""
    scales = [call.argument(name) for name in ("gamma", "scale")]
    scale = next((own for own in scales if own is not None), None)
    if scale is None:
        return same_place()
    axis = call.arguments.get("axis", -1)
    return _scaled(
        call, as_tensor(scale) if is_variable(scale) else tf.cast(scale, tf.float32), axis
    )


def _scaled(call: TracedCall, scale: tf.Tensor, axis: int | Sequence[int]) -> Same:
    """Multiplied with numbers along some axes."""
    rank = call.output.shape.rank
    axes = {own % rank for own in (axis if isinstance(axis, (list, tuple)) else [axis])}
    if sorted(axes) == list(range(rank - scale.shape.rank, rank)):
        return same_place(scale)
    shape = [call.output.shape[a] if a in axes else 1 for a in range(1, rank)]
    return same_place(tf.broadcast_to(tf.reshape(scale, shape), call.output.shape[1:]))


@register_rule(*[getattr(layers, n) for n in ("UnitNormalization",) if hasattr(layers, n)])
def unit_normalization(call: TracedCall) -> Same:
    """Divides by the input's own length: never negative."""
    return same_place()


@register_rule(layers.Normalization)
def normalization(call: TracedCall) -> Same:
    """Divides by a standard deviation, or multiplies with it: never negative."""
    return same_place()


@register_rule(layers.Rescaling)
def rescaling(call: TracedCall) -> Same:
    """Multiplies with a constant, or with one for each channel."""
    scale = tf.convert_to_tensor(call.layer.scale, tf.float32)
    return same_place(tf.broadcast_to(scale, [*scale.shape[:-1], call.output.shape[-1]]))
