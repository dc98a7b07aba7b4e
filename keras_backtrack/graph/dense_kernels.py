"""What a Dense layer's input is multiplied with, however its weights are kept."""

from typing import Any

import tensorflow as tf

from .compat import as_tensor, raw_tensor


def dense_kernel(layer: Any) -> Any:
    """Kernel of a Dense layer: its variable, or the numbers that are computed of several."""
    mode = getattr(layer, "quantization_mode", None)
    if mode not in ("int4", "int8"):
        return layer.kernel
    kernel = _grouped(layer) if mode == "int4" else as_tensor(layer._kernel)
    if getattr(layer, "kernel_zero", None) is None:
        kernel /= as_tensor(layer.kernel_scale)
    if layer.lora_enabled:
        added = as_tensor(layer.lora_kernel_a) @ as_tensor(layer.lora_kernel_b)
        kernel += layer.lora_alpha / layer.lora_rank * added
    return kernel


def _grouped(layer: Any) -> tf.Tensor:
    """Numbers of four bits, two in a byte; where they come in groups, each with its own scale."""
    packed = tf.cast(raw_tensor(layer._kernel), tf.int32)
    halves = [
        tf.bitwise.bitwise_and(part, 15) for part in (packed, tf.bitwise.right_shift(packed, 4))
    ]
    pairs = tf.stack([tf.where(half > 7, half - 16, half) for half in halves], -1)
    kernel = tf.reshape(tf.cast(pairs, tf.float32), [tf.shape(packed)[0], -1])[:, : layer.units]
    if getattr(layer, "kernel_zero", None) is None:
        return kernel
    group = tf.cast(raw_tensor(layer.g_idx), tf.int32)
    scale, zero = (tf.gather(as_tensor(v), group) for v in (layer.kernel_scale, layer.kernel_zero))
    return (kernel - zero) * scale
