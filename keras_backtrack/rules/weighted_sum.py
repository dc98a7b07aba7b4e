"""A weighted sum of a user's own, from a function that computes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ..checks import arguments
from ..graph.compat import as_tensor, is_variable
from .contributions import LinearSum
from .traced_call import TracedCall

Apply = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def weighted_sum(call: TracedCall, apply: Apply, weights: Any, bias: Any = None) -> LinearSum:
    """What a rule returns for a layer that is y = sum of W·A over its input, plus a bias.

    Where nodes are followed one by one, the weights of a unit are had by asking `apply` for its
    gradient, once for each node: exact, and slower than the built-in layers.

    Args:
        call: What the rule was given; its one followed input is what is summed.
        apply: Takes an input (N, ...) float32 and weights, returns the sums without bias,
            (N, ...) float32. Linear in both, of TensorFlow's operations, whose gradient is taken,
            and with no sign of its own: nowhere negative where neither of the two is. Layers share
            what is traced if it is the same function for all of them.
        weights: The layer's variable, or a tensor.
        bias: (units of the last axis,) the layer's variable, or a tensor; None for none.

    Returns:
        A `Sum`; its `top_n` best inputs are followed, or all.

    Example:
        >>> @register_rule(BinomialBlur)
        ... def binomial_blur(call):
        ...     def blur(x, kernel):
        ...         return tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "SAME")
        ...     return weighted_sum(call, blur, call.layer.kernel)
    """
    arguments.instance("call", call, TracedCall)
    arguments.function("apply", apply)
    if len(call.followed_inputs) != 1:
        raise ValueError(
            "`weighted_sum` is a sum over one input; of others `follows=` makes constants. "
            f"Received: {len(call.followed_inputs)} followed inputs of {call.call.describe()}."
        )
    added = None if bias is None else tf.reshape(_tensor(bias), [-1])
    return FunctionSum(tf.cast(call.input, tf.float32), added, _tensor(weights), apply)


def _tensor(value: Any) -> tf.Tensor:
    return as_tensor(value) if is_variable(value) else tf.cast(value, tf.float32)


@dataclass(frozen=True)
class FunctionSum(LinearSum):
    """Every input unit is a group of its own.

    Attributes:
        function: The sums without bias, for an input and weights.
    """

    group_limit = "top_n"

    function: Apply

    def apply(self, source: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return self.function(source, weights)
