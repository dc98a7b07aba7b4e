"""Convolutions and the normalisations behind them, run as one.

In inference a batch normalisation is a factor and an addend for each channel, and those can be part
of the weights of the convolution it follows. TensorFlow then has one operation in place of two or
three (with the ReLU behind), and a small network runs in three quarters of the time.
"""

from collections import Counter
from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ..graph.compat import as_tensor, as_tuple, depthwise_kernel, keras
from ..graph.graph import Call, Graph, Run
from ..rules.packed_weights import PackedWeights

layers = keras.layers
_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv2D)


class Fused:
    """The pairs of a graph, with weights of their own that follow the model's.

    Args:
        graph: The calls.
        weights: What keeps their weights what the model's are.
    """

    def __init__(self, graph: Graph, weights: PackedWeights) -> None:
        self._pairs = _pairs_of(graph)
        for pair in self._pairs:
            weights.follow(pair.variables, pair.renew)

    def instead(self, kept: Collection[int]) -> dict[int, Run]:
        """By number of an output, what to run in place of its call.

        Args:
            kept: Numbers of the tensors that are wanted as they are.
        """
        runs: dict[int, Run] = {}
        for pair in self._pairs:
            number = pair.between
            if number not in kept:
                runs[number] = pair.run
                runs[pair.output] = partial(_same, number)
        return runs


def _same(number: int, tensors: dict[int, tf.Tensor]) -> list[tf.Tensor]:
    return [tensors[number]]


class _Pair:
    """One convolution and the normalisation behind it.

    Attributes:
        between: Number of the tensor between the two, which nothing else reads.
        output: Number of what comes out behind them.
    """

    def __init__(self, convolution: Call, normalisation: Call) -> None:
        self._layer, self._behind = convolution.layer, normalisation.layer
        (self._source,), (self.between,) = convolution.inputs, convolution.outputs
        (self.output,) = normalisation.outputs
        kernel, bias = self._weights()
        self._kernel = tf.Variable(kernel, trainable=False)
        self._bias = tf.Variable(bias, trainable=False)

    @property
    def variables(self) -> list[Any]:
        """What the weights are made of."""
        return [*self._layer.weights, *self._behind.weights]

    def renew(self) -> None:
        """Makes the weights anew."""
        for own, now in zip((self._kernel, self._bias), self._weights(), strict=True):
            own.assign(now)

    def _weights(self) -> tuple[tf.Tensor, tf.Tensor]:
        behind, layer = self._behind, self._layer
        factor = tf.math.rsqrt(as_tensor(behind.moving_variance) + behind.epsilon)
        if behind.scale:
            factor *= as_tensor(behind.gamma)
        bias = -as_tensor(behind.moving_mean)
        if layer.use_bias:
            bias += as_tensor(layer.bias)
        bias *= factor
        if behind.center:
            bias += as_tensor(behind.beta)
        if not isinstance(layer, layers.DepthwiseConv2D):
            return as_tensor(layer.kernel) * factor, bias
        kernel = depthwise_kernel(layer)
        return kernel * tf.reshape(factor, kernel.shape[-2:]), bias

    def run(self, tensors: dict[int, tf.Tensor]) -> list[tf.Tensor]:
        """Both layers."""
        source, padding = tensors[self._source], self._layer.padding.upper()
        strides, dilation = as_tuple(self._layer.strides), as_tuple(self._layer.dilation_rate)
        if isinstance(self._layer, layers.DepthwiseConv2D):
            own = [1, *strides, 1], padding
            made = tf.nn.depthwise_conv2d(source, self._kernel, *own, dilations=dilation)
        else:
            made = tf.nn.convolution(source, self._kernel, strides, padding, dilations=dilation)
        return [tf.nn.bias_add(made, self._bias)]


def _pairs_of(graph: Graph) -> list[_Pair]:
    readers = Counter(number for call in graph.calls for number in call.inputs)
    readers.update(graph.outputs)
    found = []
    for call in graph.calls:
        before = graph.maker(call.inputs[0]) if call.inputs else None
        if before is None or readers[call.inputs[0]] != 1:
            continue
        rank = graph.specs[call.inputs[0]].shape.rank
        if _is_convolution(before) and _is_normalisation(call, rank):
            found.append(_Pair(before, call))
    return found


def _is_convolution(call: Call) -> bool:
    layer = call.layer
    if type(layer) not in _CONVOLUTIONS or not _is_plain(call):
        return False
    name = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"
    return (
        layer.activation in (None, keras.activations.linear)
        and layer.data_format == "channels_last"
        and layer.padding in ("same", "valid")
        and getattr(layer, "groups", 1) == 1
        and _has_only(layer, getattr(layer, name), layer.bias)
    )


def _is_normalisation(call: Call, rank: int) -> bool:
    layer = call.layer
    if type(layer) is not layers.BatchNormalization or not _is_plain(call):
        return False
    is_by_channel = [axis % rank for axis in np.ravel(layer.axis)] == [rank - 1]
    weights = layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance
    return is_by_channel and _has_only(layer, *weights)


def _is_plain(call: Call) -> bool:
    """Whether a call is of its input alone, image by image, in float32."""
    given = [*call.args[1:], *(own for name, own in call.kwargs.items() if name != "training")]
    is_alone = len(call.inputs) == 1 and all(own is None for own in given)
    is_as_it_was = not call.folded and not call.batch_at
    return is_alone and is_as_it_was and call.layer.compute_dtype == "float32"


def _has_only(layer: Any, *variables: Any) -> bool:
    """Whether a layer has no other weights, such as those of an adapter."""
    return {id(own) for own in layer.weights} <= {id(own) for own in variables}
