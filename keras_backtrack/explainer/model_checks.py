"""Models that cannot be explained on this host, or at all."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .. import runtime
from ..graph.compat import keras
from ..graph.errors import UnsupportedModelError
from ..graph.graph import Call, Graph
from ..graph.structures import call_model
from ..propagation.activations import unasked_masks
from ..rules import on_the_way, reached
from ..rules.linear import slide_of

_layers = keras.layers
_CONVOLUTIONS = (
    *(_layers.Conv2D, _layers.Conv3D),
    *(_layers.Conv2DTranspose, _layers.Conv3DTranspose),
)


def check_bfloat16(is_used: bool) -> None:
    """Refuses what would end the process: bfloat16 under ITEX where oneDNN may not use AVX512.

    Args:
        is_used: Whether the model computes in bfloat16. If not, ITEX itself may have been told to.

    Raises:
        UnsupportedModelError: If it would.
    """
    problem = runtime.bfloat16_problem(is_used)
    if problem is not None:
        raise UnsupportedModelError(
            "Intel Extension for TensorFlow computes in bfloat16 only where the CPU has AVX512; "
            "here the process would die. Compute in float32, or call "
            "`keras_backtrack.runtime.configure(itex=False)` first. "
            f"Received: {problem}."
        )


def check_graph(graph: Graph) -> None:
    """Refuses what this host, or this package, does not compute in, and what has no rows.

    On the way it warns of convolutions that oneDNN computes wrongly.

    Args:
        graph: The calls.

    Raises:
        UnsupportedModelError: If there is anything; as `check_bfloat16`.
    """
    check_bfloat16(any(spec.dtype == tf.bfloat16 for spec in graph.specs.values()))
    made = sorted(on_the_way(graph).difference(graph.inputs))
    read = {n for call in reached(graph) for n in call.inputs[: call.operands_read]}
    alone = [graph.names[n] for n in sorted({*made, *read}) if graph.specs[n].shape.rank == 0]
    if alone:
        raise UnsupportedModelError(
            f"{alone[-1]!r} must have one row for each image of the batch: a model that mixes "
            "images cannot be explained. Received: shape ()."
        )
    double = [graph.names[n] for n in made if graph.specs[n].dtype == tf.float64]
    if double:
        raise UnsupportedModelError(
            "Decisions are followed in float32, which holds less than layers in float64 compute: "
            "build the model with layers of dtype='float32' and give them the weights. Received: "
            f"float64 in {double[:10]}{', …' * (len(double) > 10)}."
        )


def check_answer(model: Any, graph: Graph, image: Sequence[tf.Tensor]) -> None:
    """Runs what was read of a model on two copies of an image, and the model itself.

    Once for each time that a model is read, which is enough to find out that something was read
    otherwise than it runs.

    Args:
        model: The model.
        graph: Its calls.
        image: One row of each of the model's own inputs.

    Raises:
        UnsupportedModelError: If a tensor that decisions come through does not have one row for
            each image of a batch, or the model answers otherwise.
    """
    # Of models that are built for one size of batch only, so many.
    images = graph.own.specs[graph.own.inputs[0]].shape[0] or 2
    walked = on_the_way(graph)
    last = {number: call for call in graph.calls for number in call.inputs}
    given = [tf.repeat(row, images, axis=0) for row in image]
    x = given if graph.before is None else graph.before(given).x
    tensors = dict(zip(graph.inputs, map(tf.convert_to_tensor, x), strict=True))
    is_wrong = False
    for call in graph.calls:
        with unasked_masks():
            made = dict(zip(call.outputs, _run(call, tensors), strict=True))
        own = {n: {**tensors, **made}[n] for n in (*call.inputs, *call.outputs)}
        is_wrong |= _is_wrong_by_onednn(call, call.apart(own))
        for number in walked.intersection(made):
            shape = tuple(made[number].shape)
            if not shape or shape[0] != images:
                raise UnsupportedModelError(
                    f"{graph.names[number]!r} must have one row for each image of the batch: "
                    f"a model that mixes images cannot be explained. Received: shape {shape} for "
                    f"a batch of {images}."
                )
        # No more is held than the network itself would hold.
        tensors = {
            n: t
            for n, t in {**tensors, **made}.items()
            if n == graph.output or (n in last and last[n] is not call)
        }
    if is_wrong:  # Who uses the network has been warned, and wrong numbers are never the same.
        return
    found = np.asarray(tensors[graph.output], np.float64)
    # In a graph, too, as models predict: some of TensorFlow's operations, such as pooling with the
    # channels first, answer otherwise than outside of one.
    for run in (call_model, tf.function(call_model)):
        with unasked_masks():
            answers = tf.nest.flatten(run(model, given))
        want = np.asarray(answers[graph.place], np.float64)
        if _are_same(want, found):
            return _check_apart(graph, given, found)
    how = ", as what layers do was recorded on symbolic tensors" * graph.is_recorded
    shown = [np.array2string(own.reshape(-1)[:5], precision=5) for own in (want, found)]
    raise UnsupportedModelError(
        f"The model answers otherwise than its calls do one by one{how}; its layers may depend on "
        "chance, on how often they were called, or on more than their arguments. Received: "
        f"{shown[0]}, … from the model, {shown[1]}, … from what was read of it."
    )


def _run(call: Call, tensors: dict[int, tf.Tensor]) -> list[tf.Tensor]:
    try:
        return call.run(tensors)
    except tf.errors.InvalidArgumentError as error:
        if not call.folded:
            raise
        raise UnsupportedModelError(
            "Rows that an axis is folded into must be those of one image behind those of another, "
            f"as `reshape(x, (-1, ...))` makes them. Received: {call.describe()}, which takes "
            f"{dict(call.folded)} rows for each image: {error.message}"
        ) from error


def _check_apart(graph: Graph, given: Sequence[tf.Tensor], found: np.ndarray) -> None:
    """Refuses a network with folded axes in which the answer for one image depends on another."""
    if len(found) == 1 or not any(call.folded for call in graph.calls):
        return
    # The same numbers the other way round are fit for any network.
    others = [tf.concat([x[:1], tf.reverse(x[1:], range(1, x.shape.rank))], 0) for x in given]
    with unasked_masks():
        answer = np.asarray(graph.replay(others)[graph.output], np.float64)
    if not _are_same(found[:1], answer[:1]):
        shown = [np.array2string(own[0].reshape(-1)[:5], precision=5) for own in (found, answer)]
        raise UnsupportedModelError(
            "What is folded into the batch must come back to its own image: a model that mixes "
            f"images cannot be explained. Received: {shown[0]}, … for an image beside itself, "
            f"{shown[1]}, … beside another."
        )


def _is_wrong_by_onednn(call: Call, tensors: Mapping[int, tf.Tensor]) -> bool:
    """Compares a convolution of the kind that oneDNN may get wrong with a plain one, and warns.

    A transposed one is a convolution the other way round, which its gradient computes.
    """
    if not isinstance(call.layer, _CONVOLUTIONS):
        return False
    size, strides, dilation, padding, groups, transposed = slide_of(call.layer)
    read, made = (tuple(tensors[n].shape[1:-1]) for n in (call.inputs[0], call.outputs[0]))
    inputs, outputs = (made, read) if transposed else (read, made)
    kernel = np.asarray(call.layer.kernel, np.float32)
    if groups > 1 or max(dilation) > 1 or call.layer.data_format != "channels_last":
        return False
    may_be = runtime.may_be_wrong(kernel.shape[-2], size, strides, outputs)
    is_wrong = may_be and runtime.is_wrong(inputs, kernel, strides, padding)
    if is_wrong:
        warnings.warn(
            f"TensorFlow's oneDNN computes {call.describe()} wrongly on this CPU, as it does "
            f"{runtime.WRONG_CONVOLUTIONS}. What the network answers is wrong, and so is what is "
            f"explained of it; {runtime.without_wrong_convolutions(runtime.itex_is_on())}.",
            stacklevel=5,
        )
    return is_wrong


def _are_same(want: np.ndarray, found: np.ndarray) -> bool:
    # Of an output that overflows whoever asked is told in other words.
    largest = abs(want[np.isfinite(want)]).max(initial=1e-4)
    is_alike = want.shape == found.shape
    return is_alike and np.allclose(want, found, 0, _TOLERANCE * largest, equal_nan=True)


_TOLERANCE = 1e-2  # of the largest output
