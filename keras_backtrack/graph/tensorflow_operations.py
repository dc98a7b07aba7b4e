"""TensorFlow's operations under the names, and with the arguments, that rules know."""

import string
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from . import as_layers, compat, convolving
from .compat import Operation, keras
from .computed import run

layers = keras.layers


class Traced:
    """An operation of a trace, and what it reads.

    Args:
        operation: The operation.
        argument: Takes a tensor of the trace, returns what stands for it in a call's arguments.
    """

    def __init__(self, operation: tf.Operation, argument: Callable[[tf.Tensor], Any]) -> None:
        self.operation, self._argument = operation, argument

    def arg(self, place: int) -> Any:
        """One of its inputs as an argument."""
        return self._argument(self.operation.inputs[place])

    @property
    def args(self) -> list[Any]:
        """All of its inputs as arguments."""
        return [self._argument(tensor) for tensor in self.operation.inputs]

    def number(self, place: int) -> np.ndarray | None:
        """The value of an input that is always the same; None of others."""
        value = self.arg(place)
        return value.numpy() if hasattr(value, "numpy") and not compat.is_variable(value) else None

    def __getitem__(self, name: str) -> Any:
        return self.operation.get_attr(name)


Translation = tuple[Any, tuple, dict]


def translated(operation: tf.Operation, traced: Traced) -> Translation:
    """The layer or bare operation that an operation is, and its arguments."""
    special = _SPECIAL.get(operation.type)
    found = None if special is None else special(traced)
    if found is not None:
        return found
    name = _NAMES.get(operation.type, operation.type.lower())
    return Operation(name, _again(operation)), tuple(traced.args), {}


def _again(operation: tf.Operation) -> Callable:
    """Runs an operation on other inputs, of another dtype perhaps: rules move places about."""
    recorded, kinds = [tensor.dtype for tensor in operation.inputs], _kinds(operation)

    def function(*inputs: Any) -> Any:
        given = [tf.convert_to_tensor(value) for value in inputs]
        changed = {
            kind: value.dtype
            for kind, own, value in zip(kinds, recorded, given, strict=True)
            if kind and own != value.dtype
        }
        # Constants have no place.
        given = [
            tf.zeros_like(v, changed[k]) if changed.get(k, v.dtype) != v.dtype else v
            for k, v in zip(kinds, given, strict=True)
        ]
        made = run(operation, given)
        for tensor, own in zip(made, operation.outputs, strict=True):
            if tensor.shape.rank is None and own.shape.rank:
                # As its author said, which another run does not know.
                tensor.set_shape([None, *own.shape[1:]])
        return made[0] if len(made) == 1 else made

    return function


def _kinds(operation: tf.Operation) -> list[str]:
    """For each input the name of the dtype that it shares with others."""
    found = []
    for argument in operation.op_def.input_arg:
        count = operation.get_attr(argument.number_attr) if argument.number_attr else 1
        found += [argument.type_attr] * count
    return found


_NAMES = {
    "AddN": "add",
    "AddV2": "add",
    "BatchToSpaceND": "batchtospace",
    "BiasAdd": "add",
    "ConcatV2": "concatenate",
    "If": "cond",
    "MirrorPad": "pad",
    "Mul": "multiply",
    "Neg": "negative",
    "PadV2": "pad",
    "Pack": "stack",
    "Pow": "power",
    "RealDiv": "divide",
    "ReverseV2": "flip",
    "SelectV2": "where",
    "Select": "where",
    "SplitV": "split",
    "StatelessIf": "cond",
    "StatelessWhile": "while",
    "StridedSlice": "getitem",
    "Sub": "subtract",
    "Unpack": "unstack",
}


def _reduction(name: str, function: Callable) -> Callable[[Traced], Translation | None]:
    def translate(traced: Traced) -> Translation | None:
        axis = traced.number(1)
        if axis is None:
            return None
        settings = {"axis": np.atleast_1d(axis).tolist(), "keepdims": traced["keep_dims"]}
        return Operation(name, function), (traced.arg(0),), settings

    return translate


def _product(transposed: tuple[str, str]) -> Callable[[Traced], Translation]:
    def translate(traced: Traced) -> Translation:
        first, second = (traced[name] for name in transposed)
        settings = {"transpose_a": first, "transpose_b": second}
        return Operation("matmul", tf.matmul), tuple(traced.args), settings

    return translate


def _einsum(traced: Traced) -> Translation:
    """All axes get letters, also those that an equation has dots for."""
    equation = traced["equation"].decode()
    *operands, output = equation.replace("->", ",").split(",")
    letters = [letter for letter in string.ascii_letters if letter not in equation]
    ranks = [tensor.shape.rank for tensor in traced.operation.inputs]
    missing = [
        rank - len(own.replace("...", "")) for rank, own in zip(ranks, operands, strict=True)
    ]
    dots = "".join(letters[: max(missing)])
    spelled = [
        own.replace("...", dots[len(dots) - count :])
        for own, count in zip((*operands, output), (*missing, len(dots)), strict=True)
    ]
    equation = "->".join([",".join(spelled[:-1]), spelled[-1]])
    return Operation("einsum", tf.einsum), (equation, *traced.args), {}


def _reshape(traced: Traced) -> Translation | None:
    """The number of images is whatever it is."""
    shape = traced.operation.outputs[0].shape
    if shape.rank is None or shape[0] is not None or None in shape.as_list()[1:]:
        return None
    sizes = [-1, *shape.as_list()[1:]]
    return Operation("reshape", tf.reshape), (traced.arg(0), sizes), {}


def _transpose(traced: Traced) -> Translation | None:
    axes = traced.number(1)
    if axes is None:
        return None
    return Operation("transpose", tf.transpose), (traced.arg(0),), {"perm": axes.tolist()}


def _gather(traced: Traced) -> Translation | None:
    axis = traced.number(2)
    if axis is None:
        return None
    if traced["batch_dims"]:
        again = _again(traced.operation)
        return Operation("takealongaxis", again), tuple(traced.args), {}
    return Operation("take", _take), (traced.arg(0), traced.arg(1)), {"axis": int(axis)}


def _resource_gather(traced: Traced) -> Translation | None:
    table = traced.arg(0)
    if not compat.is_variable(table) or traced["batch_dims"]:
        return None
    return Operation("take", _take), (table, traced.arg(1)), {"axis": 0}


def _take(table: Any, index: tf.Tensor, axis: int) -> tf.Tensor:
    return tf.gather(tf.convert_to_tensor(table), index, axis=axis)


def _convolution(traced: Traced) -> Translation | None:
    kernel, strides = traced.arg(1), traced["strides"]
    padding, dilation = traced["padding"].decode(), traced["dilations"]
    if padding not in ("SAME", "VALID") or traced["data_format"] != b"NHWC":
        return None
    if not compat.is_variable(kernel):
        is_one_tensor = not compat.is_symbolic(kernel)
        return (
            convolving.convolution(traced.operation, traced.arg(0), kernel)
            if is_one_tensor
            else None
        )
    if strides[1] != strides[2]:
        return None
    given = {"kernel": kernel, "strides": strides, "padding": padding, "dilation_rate": dilation}
    is_depthwise = traced.operation.type == "DepthwiseConv2dNative"
    make = as_layers.depthwise if is_depthwise else as_layers.convolution
    layer = make(given, traced.operation.inputs[0], "conv")
    return None if layer is None else (layer, (traced.arg(0),), {})


def _pooling(kind: str) -> Callable[[Traced], Translation | None]:
    make = as_layers.pooling(kind, "pool")

    def translate(traced: Traced) -> Translation | None:
        given = {"pool_size": traced["ksize"], "strides": traced["strides"]}
        given["padding"] = traced["padding"].decode()
        if given["padding"] not in ("SAME", "VALID") or traced["data_format"] != b"NHWC":
            return None
        if given["pool_size"][0] != 1 or given["pool_size"][3] != 1:
            return None
        return make(given, traced.operation.inputs[0]), (traced.arg(0),), {}

    return translate


def _resizing(interpolation: str) -> Callable[[Traced], Translation | None]:
    def translate(traced: Traced) -> Translation | None:
        size = traced.number(1)
        if size is None or not traced["half_pixel_centers"]:
            return None
        settings = {"interpolation": interpolation, "name": "resize"}
        return layers.Resizing(*map(int, size), **settings), (traced.arg(0),), {}

    return translate


def _cumsum(traced: Traced) -> Translation | None:
    axis = traced.number(1)
    if axis is None:
        return None
    settings = {name: traced[name] for name in ("exclusive", "reverse")}
    return Operation("cumsum", tf.cumsum), (traced.arg(0),), {"axis": int(axis), **settings}


_SPECIAL: dict[str, Callable[[Traced], Translation | None]] = {
    "AvgPool": _pooling("Average"),
    "BatchMatMulV2": _product(("adj_x", "adj_y")),
    "BatchMatMulV3": _product(("adj_x", "adj_y")),
    "Conv2D": _convolution,
    "Cumsum": _cumsum,
    "DepthwiseConv2dNative": _convolution,
    "Einsum": _einsum,
    "GatherV2": _gather,
    "MatMul": _product(("transpose_a", "transpose_b")),
    "Max": _reduction("max", tf.reduce_max),
    "MaxPool": _pooling("Max"),
    "Mean": _reduction("mean", tf.reduce_mean),
    "Min": _reduction("min", tf.reduce_min),
    "Reshape": _reshape,
    "ResizeBilinear": _resizing("bilinear"),
    "ResizeNearestNeighbor": _resizing("nearest"),
    "ResourceGather": _resource_gather,
    "Sum": _reduction("sum", tf.reduce_sum),
    "Transpose": _transpose,
}
