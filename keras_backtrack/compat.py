"""Every difference between Keras 2.15 and Keras 3, and only that."""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

# TensorFlow comes first: with Intel Extension for TensorFlow installed, the other order
# registers its plug-in twice.
import tensorflow as tf

import keras  # isort: skip

KERAS_3 = int(keras.__version__.split(".")[0]) >= 3


class KerasCall(NamedTuple):
    """One call of a layer, as Keras recorded it when the model was built.

    Attributes:
        layer: The layer (in Keras 3 also a raw operation).
        args: Positional arguments, symbolic tensors inside.
        kwargs: Keyword arguments, symbolic tensors inside.
        outputs: The symbolic tensors that came out, as a flat list.
    """

    layer: Any
    args: tuple
    kwargs: dict
    outputs: list


def check_backend() -> None:
    """Raises an error where Keras runs on something other than TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "keras_backtrack needs Keras on the TensorFlow backend (set KERAS_BACKEND=tensorflow "
            f"before keras is imported). Received: backend {keras.backend.backend()!r}."
        )


def as_graph_model(layer: Any) -> Any | None:
    """The Functional model behind a Functional or Sequential one, or None for anything else.

    A model whose class overrides `call` is no graph model: what it computes is whatever its
    `call` says, not what the recorded graph says.
    """
    if not isinstance(layer, keras.Model):
        return None
    if isinstance(layer, keras.Sequential):
        if type(layer).call is not keras.Sequential.call:
            return None
        return getattr(layer, "_functional", None) if KERAS_3 else layer
    if not hasattr(layer, "_nodes_by_depth") or type(layer).call is not _functional_call():
        return None
    return layer


def _functional_call() -> Any:
    probe = keras.Input((1,))
    return type(keras.Model(probe, probe)).call


def is_built(model: keras.Model) -> bool:
    """Whether a graph model has its graph and its weights."""
    graph = as_graph_model(model)
    return graph is not None and hasattr(graph, "_nodes_by_depth") and bool(graph.outputs)


def recorded_calls(model: Any) -> Iterator[KerasCall]:
    """The calls of one graph model in the order they run, nested models unopened.

    `model._nodes_by_depth` holds this model's own calls only, while a layer's own list of calls
    holds those of every model that shares it.
    """
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if KERAS_3:
                if not node.is_input:
                    arguments = node.arguments
                    yield KerasCall(
                        node.operation,
                        tuple(arguments.args),
                        dict(arguments.kwargs),
                        list(node.output_tensors),
                    )
            elif not node.is_input:
                yield KerasCall(
                    node.layer,
                    tuple(node.call_args or ()),
                    dict(node.call_kwargs or {}),
                    tf.nest.flatten(node.outputs),
                )


def is_symbolic(value: Any) -> bool:
    """Whether a value is a symbolic Keras tensor."""
    return keras.backend.is_keras_tensor(value)


def takes_training(layer: Any) -> bool:
    """Whether the layer behaves differently in training, and so must be told not to."""
    return "training" in inspect.signature(layer.call).parameters


def raw_tensor(variable: Any) -> tf.Tensor:
    """A layer's variable as a tensor that shares its memory.

    Read as a whole: gathering from the variable itself would switch TensorFlow to copying it at
    every read from then on, the model's own included.
    """
    return tf.convert_to_tensor(variable.value if KERAS_3 else variable)


def as_tensor(variable: Any) -> tf.Tensor:
    """A layer's variable as a float32 tensor, whichever the Keras version and weight dtype."""
    return tf.cast(raw_tensor(variable), tf.float32)


def as_tuple(setting: int | tuple[int, ...]) -> tuple[int, ...]:
    """A layer's setting for each axis; Keras 2.15 has a bare number for one."""
    return (setting,) if isinstance(setting, int) else tuple(setting)


def depthwise_kernel(layer: Any) -> tf.Tensor:
    """Kernel of a depthwise convolution: (height, width, channels, multiplier) float32."""
    return as_tensor(layer.kernel if KERAS_3 else layer.depthwise_kernel)
