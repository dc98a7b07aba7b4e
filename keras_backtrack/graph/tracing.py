"""What a layer's `call` does, traced as TensorFlow operations between whole layers."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf

from . import compat
from .compat import keras
from .computed import SIZES, captured_by, computed_of
from .recording import gets_mask, with_activation
from .structures import names_in


class Part(NamedTuple):
    """A layer, or a function that rules know, called within a trace.

    Attributes:
        layer, args, kwargs: The call.
        outputs: What it returned, each a tensor of its own.
    """

    layer: Any
    args: tuple
    kwargs: dict
    outputs: list[tf.Tensor]


class Trace(NamedTuple):
    """What a layer's `call` did.

    Attributes:
        graph: All operations.
        inputs, outputs: Tensors of it; behind the inputs the masks of some.
        names: Of the outputs: the keys of what was returned, or their places.
        masked: Which inputs have their masks there.
        parts: The layers within, in the order they were called.
        live: What depends on the inputs.
    """

    graph: Any
    inputs: list[tf.Tensor]
    outputs: list[tf.Tensor]
    names: list[str]
    masked: list[int]
    parts: list[Part]
    live: "Live"


class Live:
    """Tells which tensors depend on some inputs, by more than their sizes.

    Args:
        inputs: The inputs.
    """

    def __init__(self, inputs: list[tf.Tensor]) -> None:
        self._known = {tensor.op.name: True for tensor in inputs}

    def __contains__(self, tensor: tf.Tensor) -> bool:
        waiting = [tensor.op]
        while waiting:
            operation = waiting[-1]
            if operation.name in self._known:
                waiting.pop()
                continue
            read = [] if operation.type in SIZES else [t.op for t in operation.inputs]
            unknown = [other for other in read if other.name not in self._known]
            waiting += unknown
            if not unknown:
                self._known[operation.name] = any(self._known[other.name] for other in read)
        return self._known[tensor.op.name]


# TensorFlow makes several operations of each of these.
_WHOLE = (
    *("batch_normalization", "celu", "dot", "dot_product_attention", "gelu", "hard_sigmoid"),
    *("hard_silu", "hard_swish", "hard_tanh", "layer_normalization", "leaky_relu", "log_sigmoid"),
    *("matmul", "mish", "normalize", "rms_normalization", "silu", "softmax", "swish"),
    *("take_along_axis", "tensordot"),
)
_WHOLE_PICTURES = ("extract_patches",)
_ONE_AT_A_TIME = threading.RLock()
_FUNCTION = type(tf.function(tf.identity))


def trace_call(made: compat.KerasCall, may_be_masked: bool, is_opened: bool) -> Trace:
    """Runs a layer's `call` on placeholders, for batches of any size.

    Args:
        made, may_be_masked: As for `record_call`.
        is_opened: Whether it is a layer with a rule that is looked into for its activation alone.

    Raises:
        Exception: Whatever `call` raises.
    """
    layer, args, kwargs, _ = made
    symbols = [value for value in tf.nest.flatten((args, kwargs)) if compat.is_symbolic(value)]
    masked = [place for place, own in enumerate(symbols) if gets_mask(own, may_be_masked)]
    specs = [tf.TensorSpec(symbol.shape, symbol.dtype) for symbol in symbols]
    specs += [tf.TensorSpec(symbols[place].shape[:2], tf.bool) for place in masked]
    found: list[Trace] = []

    def run(*given: tf.Tensor) -> None:
        for place, mask in zip(masked, given[len(symbols) :], strict=True):
            given[place]._keras_mask = mask
        fresh = iter(given)
        own_args, own_kwargs = tf.nest.map_structure(
            lambda value: next(fresh) if compat.is_symbolic(value) else value, (args, kwargs)
        )
        if compat.takes_training(layer) and not is_opened:
            own_kwargs["training"] = False
        call = partial(with_activation, layer) if is_opened else layer
        live: Live = Live(list(given))
        parts: list[Part] = []
        with _ONE_AT_A_TIME, _noting(layer, live, parts), compat.any_name():
            returned = call(*own_args, **own_kwargs)
        pairs = zip(names_in(returned, "output"), tf.nest.flatten(returned), strict=True)
        made = [(name, tf.convert_to_tensor(own)) for name, own in pairs if own is not None]
        names, outputs = [name for name, _ in made], [own for _, own in made]
        graph = tf.compat.v1.get_default_graph()
        found.append(Trace(graph, list(given), outputs, names, masked, parts, live))

    tf.function(run, autograph=False).get_concrete_function(*specs)
    return found[0]


@contextmanager
def _noting(layer: Any, live: Live, parts: list[Part]) -> Iterator[None]:
    """Notes the layers that a layer calls on what depends on the inputs."""
    own, inside = threading.get_ident(), [False]

    def noting(whole: Any, function: Callable, args: tuple, kwargs: dict) -> Any:
        tensors = [v for v in tf.nest.flatten((args, kwargs)) if compat.is_symbolic(v)]
        is_other = inside[0] or whole is layer or threading.get_ident() != own
        # Keras 2.15 has layers that are single operations, too.
        is_other |= isinstance(whole, keras.layers.Layer) and bool(compat.operation_name(whole))
        if is_other or not any(tensor in live for tensor in tensors):
            return function(*args, **kwargs)
        inside[0] = True
        try:
            made = function(*args, **kwargs)
        finally:
            inside[0] = False
        made = tf.nest.map_structure(_of_its_own, made)
        parts.append(Part(whole, args, kwargs, compat.tensors_in(made)))
        return made

    call = keras.layers.Layer.__call__

    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        return noting(self, lambda *a, **k: call(self, *a, **k), args, kwargs)

    def kept_whole(name: str, function: Callable) -> Callable:
        whole = compat.Operation(name, function)
        return lambda *args, **kwargs: noting(whole, function, args, kwargs)

    with ExitStack() as replaced:
        replaced.enter_context(_replaced(keras.layers.Layer, "__call__", called))
        replaced.enter_context(_replaced(_FUNCTION, "__call__", _opened(own)))
        for module, names in _functions_kept():
            for name in names:
                function = kept_whole(name, getattr(module, name))
                replaced.enter_context(_replaced(module, name, function))
        shifted = kept_whole("shifted", tf.add)
        for module in (tf, tf.math):
            logsumexp = partial(_logsumexp, shifted)
            replaced.enter_context(_replaced(module, "reduce_logsumexp", logsumexp))
        replaced.enter_context(_replaced(tf, "cond", partial(_condition, live, tf.cond)))
        numpy = sys.modules.get("keras.src.backend.tensorflow.numpy")
        if numpy is not None:
            # Keras makes reshapes and products of some, that mix images.
            replaced.enter_context(_replaced(numpy, "einsum", _einsum))
        yield


def _logsumexp(shifted: Callable, x: Any, axis: Any = None, keepdims: bool = False) -> tf.Tensor:
    """The largest is a constant that keeps the numbers small, and no part of the sum."""
    x = tf.convert_to_tensor(x)
    largest = tf.reduce_max(x, axis, keepdims=True)
    logarithm = tf.math.log(tf.reduce_sum(tf.exp(shifted(x, -largest)), axis, keepdims=keepdims))
    return shifted(logarithm, tf.reduce_max(x, axis, keepdims=keepdims))


def _condition(live: Live, cond: Callable, pred: Any, *branches: Any, **named: Any) -> Any:
    """One branch, where it is known which: there is no telling what both together do."""
    if isinstance(pred, tf.Tensor) and pred not in live:
        captured = captured_by(tf.compat.v1.get_default_graph())
        value = computed_of(pred, live, captured).always()
        functions = dict(zip(("true_fn", "false_fn"), branches, strict=False)) | named
        if value is not None:
            return functions["true_fn" if value else "false_fn"]()
    return cond(pred, *branches, **named)


def _functions_kept() -> Iterator[tuple[Any, list[str]]]:
    """Modules, and which of their functions are kept whole."""
    named = {
        **dict.fromkeys(("keras.ops", "keras.src.ops", f"{keras.__name__}.activations"), _WHOLE),
        **dict.fromkeys(("keras.ops.image", "keras.src.ops.image"), _WHOLE_PICTURES),
    }
    found = [(sys.modules[name], names) for name, names in named.items() if name in sys.modules]
    found += [(tf.nn, _WHOLE), (tf, ("tensordot",)), (tf.linalg, ("tensordot",))]
    for module, names in found:
        yield module, [name for name in names if hasattr(module, name)]


def _einsum(subscripts: str, *operands: Any, **settings: Any) -> tf.Tensor:
    """As Keras's, which computes integers in int32."""
    tensors = [tf.convert_to_tensor(operand) for operand in operands]
    if all(tensor.dtype.is_integer for tensor in tensors):
        return tf.einsum(subscripts, *(tf.cast(tensor, tf.int32) for tensor in tensors))
    dtype = compat.keras.backend.result_type(*(tensor.dtype.name for tensor in tensors))
    return tf.einsum(subscripts, *(tf.cast(tensor, dtype) for tensor in tensors))


def _opened(own: int) -> Callable:
    """Calls what a `tf.function` is made of, in one thread: else all it does is one operation."""
    whole = _FUNCTION.__call__

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() == own:
            try:
                return self.python_function(*args, **kwargs)
            except tf.errors.OperatorNotAllowedInGraphError:
                pass  # Such as `if` on a tensor, which `tf.function` itself rewrites.
        return whole(self, *args, **kwargs)

    return call


def _of_its_own(value: Any) -> Any:
    """A tensor that nothing else is."""
    if not tf.is_tensor(value):
        return value
    tensor, mask = tf.identity(value), compat.mask_of(value)
    if mask is not None:
        tensor._keras_mask = mask
    return tensor


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    held = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, held)
