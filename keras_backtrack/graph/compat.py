"""Every difference between Keras 2.15 and Keras 3, and only that."""

import inspect
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

# TensorFlow comes first: with Intel Extension for TensorFlow installed, the other order
# registers its plug-in twice.
import tensorflow as tf

if TYPE_CHECKING:
    import keras
else:
    # What `tf.keras` is then: Keras 2.15's successor, beside Keras 3.
    IS_LEGACY = os.environ.get("TF_USE_LEGACY_KERAS") in ("true", "True", "1")
    keras = import_module("tf_keras" if IS_LEGACY and find_spec("tf_keras") else "keras")

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
    """The calls of one graph model in the order they run; a nested model is one of them.

    Of what was traced its own `calls`.

    `model._nodes_by_depth` holds this model's own calls only, while a layer's own list of calls
    holds those of every model that shares it.
    """
    if not hasattr(model, "_nodes_by_depth"):
        yield from model.calls
        return
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
    """Whether a value is a symbolic tensor, of Keras or of a graph that TensorFlow traced."""
    try:
        if keras.backend.is_keras_tensor(value):
            return True
    except ValueError:  # Keras 2.15, for what is no tensor of any kind.
        return False
    return isinstance(value, tf.Tensor) and not hasattr(value, "numpy")


def operation_name(layer: Any) -> str | None:
    """Name of a bare operation in a graph, such as `"multiply"`; None for a layer.

    One name for both versions: Keras 3 has classes such as `TrueDivide`, Keras 2.15 layers that
    call functions such as `"math.truediv"`. A class of somebody else's may be called as one of
    Keras's and do something else: its name is that of its module, a dot, and its own.
    """
    kind = type(layer)
    is_own = isinstance(layer, Operation)
    is_of_keras = is_own or kind.__module__.split(".")[0] == keras.__name__
    if KERAS_3 and isinstance(layer, keras.layers.Layer):
        return None
    if KERAS_3 and not is_of_keras:
        return f"{kind.__module__}.{kind.__qualname__}"
    name = kind.__name__ if KERAS_3 and not is_own else getattr(layer, "symbol", None)
    if name is None or not is_of_keras:
        return None
    name = name.split(".")[-1].lower().replace("_", "")
    return _SAME_OPERATION.get(name, name)


_SAME_OPERATION = {
    "absolute": "abs",
    "batchnormalization": "batchnorm",
    "layernormalization": "layernorm",
    "rmsnormalization": "rmsnorm",
    "amax": "max",
    "amin": "min",
    "biasadd": "add",
    "clipbyvalue": "clip",
    "concat": "concatenate",
    "l2normalize": "normalize",
    "neg": "negative",
    "pow": "power",
    "reducemax": "max",
    "reducemean": "mean",
    "reducemin": "min",
    "reducesum": "sum",
    "reverse": "flip",
    "selectv2": "where",
    "truediv": "divide",
    "truedivide": "divide",
}


def arguments(layer: Any, args: tuple, kwargs: dict) -> dict[str, Any]:
    """All arguments of a bare operation by name, those in Keras 3 that it holds itself included."""
    function = layer.call if KERAS_3 else layer.function
    try:
        bound = inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        bound = kwargs
    return {**vars(layer), **bound} if KERAS_3 else dict(bound)


def tensors_in(made: Any) -> list[Any]:
    """What a layer returned as a flat list; some return None beside tensors."""
    return [value for value in tf.nest.flatten(made) if value is not None]


def is_variable(value: Any) -> bool:
    """Whether a value is a variable, of Keras or of TensorFlow."""
    return isinstance(value, tf.Variable) or (KERAS_3 and isinstance(value, keras.Variable))


def mask_of(tensor: Any) -> Any | None:
    """The mask that Keras hung on a tensor, symbolic or not: which time steps count."""
    return getattr(tensor, "_keras_mask", None)


class Operation:
    """A bare operation of our own: what a function does, under a name that rules know.

    Args:
        name: What it is called.
        function: What it does.

    Attributes:
        line: The line of code that it comes from, as `errors.line_of` says it; empty if unknown.
    """

    def __init__(self, name: str, function: Callable) -> None:
        self.line = ""
        self.name = self.symbol = name
        self.call = self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def mask_operation() -> Operation:
    """An operation that reads `mask_of` a sequence while a graph runs; all true where it has none.

    A layer in a nested model finds out only then what masks come from outside.
    """

    def mask(tensor: tf.Tensor) -> tf.Tensor:
        mask = mask_of(tensor)
        return tf.ones(tf.shape(tensor)[:2], tf.bool) if mask is None else mask

    return Operation("mask", mask)


def keeping_nodes(layers: list[Any], record: Callable[[], Any]) -> Any:
    """What `record` returns; layers it calls shall not remember that."""
    nodes = [(part, len(part._inbound_nodes), len(part._outbound_nodes)) for part in layers]
    log = tf.get_logger()
    level = log.level
    # Keras 2.15 complains of every variable that an operation reads.
    log.setLevel("ERROR")
    try:
        with _variables_beside_symbols():
            return record()
    finally:
        log.setLevel(level)
        for part, inbound, outbound in nodes:
            del part._inbound_nodes[inbound:], part._outbound_nodes[outbound:]


@contextmanager
def _variables_beside_symbols() -> Iterator[None]:
    """Lets `variable * tensor` be recorded as `tensor * variable` is.

    Keras 3's variables take the symbolic tensor beside them for a number. Told that they do not
    know it, Python asks the tensor.
    """
    own = {name: getattr(keras.Variable, name) for name in _OPERATORS} if KERAS_3 else {}

    def yielding(operator: Callable) -> Callable:
        return lambda self, other: NotImplemented if is_symbolic(other) else operator(self, other)

    inherited = [name for name in own if name not in vars(keras.Variable)]
    for name, operator in own.items():
        setattr(keras.Variable, name, yielding(operator))
    try:
        yield
    finally:
        for name, operator in own.items():
            setattr(keras.Variable, name, operator)
        for name in inherited:
            delattr(keras.Variable, name)


_OPERATORS = ("__add__", "__matmul__", "__mul__", "__pow__", "__sub__", "__truediv__")


def layers_in(layer: Any) -> list[Any]:
    """A layer and all layers inside of it."""
    return list(layer._flatten_layers(include_self=True, recursive=True))


def twin(layer: Any, **settings: Any) -> Any:
    """A layer with other settings that shares a built layer's variables."""
    with warnings.catch_warnings():
        # Keras 3 warns of saving an activation that is a lambda.
        warnings.simplefilter("ignore")
        other = type(layer).from_config({**layer.get_config(), **settings})
    shared = {name: value for name, value in vars(layer).items() if is_variable(value)}
    if "activation" not in settings and getattr(layer, "activation", None) is not None:
        shared["activation"] = layer.activation
    for name, value in shared.items():
        setattr(other, name, value)
    other.built = True
    return other


def give_kernel(layer: Any, kernel: Any, bias: Any = None) -> None:
    """Builds a convolution around another's variables."""
    if isinstance(layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)):
        name = "kernel" if KERAS_3 else "depthwise_kernel"
    else:
        name = "_kernel" if KERAS_3 else "kernel"
    setattr(layer, name, kernel)
    layer.use_bias, layer.bias, layer.built = bias is not None, bias, True


def dtype_of_cell(cell: Any) -> str:
    """What a cell computes in where nobody but itself casts its variables."""
    return "float32" if KERAS_3 else cell.compute_dtype


def reverse_time(sequence: Any) -> Any:
    """A symbolic sequence (N, T, ...) read from its end."""
    return keras.ops.flip(sequence, 1) if KERAS_3 else tf.reverse(sequence, [1])


def cut(tensor: Any, parts: int) -> list[Any]:
    """A symbolic tensor's last axis in equal parts."""
    return list(keras.ops.split(tensor, parts, -1) if KERAS_3 else tf.split(tensor, parts, -1))


def any_name() -> Any:
    """A scope in which layers may have names that begin with "_" or ">", as within a model."""
    return tf.name_scope("call")


def takes_training(layer: Any) -> bool:
    """Whether the layer behaves differently in training, and so must be told not to."""
    return "training" in inspect.signature(layer.call).parameters


def always_trains(made: KerasCall, is_recorded: bool) -> bool:
    """Whether a call makes a layer behave as in training even when the model does not train.

    Args:
        made: The call.
        is_recorded: Whether a layer's own `call` makes it. In a model's graph Keras 3 lets what the
            model was called with count for more.
    """
    if made.kwargs.get("training") is not True or (KERAS_3 and not is_recorded):
        return False
    if inspect.signature(made.layer.call).parameters["training"].default is True:
        # Nobody may have asked for that, and a model that does not train overrules it.
        return False
    leaves = [
        part for part in layers_in(made.layer) if not list(part._flatten_layers(include_self=False))
    ]
    return any(takes_training(leaf) and not _drops_nothing(leaf) for leaf in leaves)


def _drops_nothing(layer: Any) -> bool:
    rates = [
        getattr(layer, n) for n in ("rate", "dropout", "recurrent_dropout") if hasattr(layer, n)
    ]
    return bool(rates) and not any(rates)


def raw_tensor(variable: Any) -> tf.Tensor:
    """A layer's variable as a tensor that shares its memory.

    Read as a whole: gathering from the variable itself would switch TensorFlow to copying it at
    every read from then on, the model's own included.
    """
    is_keras_own = KERAS_3 and not isinstance(variable, tf.Variable)
    return tf.convert_to_tensor(variable.value if is_keras_own else variable)


def as_tensor(variable: Any) -> tf.Tensor:
    """A layer's variable as a float32 tensor, whichever the Keras version and weight dtype."""
    return tf.cast(raw_tensor(variable), tf.float32)


def as_tuple(setting: int | tuple[int, ...]) -> tuple[int, ...]:
    """A layer's setting for each axis; Keras 2.15 has a bare number for one."""
    return (setting,) if isinstance(setting, int) else tuple(setting)


def depthwise_kernel(layer: Any) -> tf.Tensor:
    """Kernel of a depthwise convolution: (height, width, channels, multiplier) float32."""
    return as_tensor(layer.kernel if KERAS_3 else layer.depthwise_kernel)
