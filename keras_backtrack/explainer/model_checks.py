"""Models that cannot be explained on this host, or at all."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .. import runtime
from ..graph.compat import keras
from ..graph.errors import UnsupportedModelError
from ..graph.graph import Call, Graph
from ..propagation.activations import unasked_masks
from ..propagation.question import Question, answered
from ..rules import reached
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


def check_rows(graph: Graph, image: Sequence[tf.Tensor]) -> None:
    """Runs the network on two copies of an image, to see that it keeps images apart.

    On the way it warns of convolutions that oneDNN computes wrongly.

    Args:
        graph: The calls.
        image: One row of each of the graph's inputs.

    Raises:
        UnsupportedModelError: If a tensor that decisions come through does not have one row for
            each image of a batch.
    """
    # Of models that are built for one size of batch only, so many.
    images = graph.specs[graph.inputs[0]].shape[0] or 2
    walked = {number for call in reached(graph) for number in call.outputs}
    last = {number: call for call in graph.calls for number in call.inputs}
    tensors = {
        n: tf.repeat(row, images, axis=0) for n, row in zip(graph.inputs, image, strict=True)
    }
    for call in graph.calls:
        with unasked_masks():
            made = dict(zip(call.outputs, call.run(tensors), strict=True))
        _warn_where_wrong(call, {**tensors, **made})
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
            n: t for n, t in {**tensors, **made}.items() if n in last and last[n] is not call
        }


def _warn_where_wrong(call: Call, tensors: dict[int, tf.Tensor]) -> None:
    """Compares a convolution of the kind that oneDNN may get wrong with a plain one.

    A transposed one is a convolution the other way round, which its gradient computes.
    """
    if not isinstance(call.layer, _CONVOLUTIONS):
        return
    size, strides, dilation, padding, groups, transposed = slide_of(call.layer)
    read, made = (tuple(tensors[n].shape[1:-1]) for n in (call.inputs[0], call.outputs[0]))
    inputs, outputs = (made, read) if transposed else (read, made)
    kernel = np.asarray(call.layer.kernel, np.float32)
    if groups > 1 or max(dilation) > 1 or call.layer.data_format != "channels_last":
        return
    if runtime.may_be_wrong(kernel.shape[-2], size, strides, outputs) and runtime.is_wrong(
        inputs, kernel, strides, padding
    ):
        warnings.warn(
            f"TensorFlow's oneDNN computes {call.describe()} wrongly on this CPU, as it does "
            f"{runtime.WRONG_CONVOLUTIONS}. What the network answers is wrong, and so is what is "
            f"explained of it; {runtime.without_wrong_convolutions(runtime.itex_is_on())}.",
            stacklevel=5,
        )


def check_recording(
    model: Any, place: int, image: Sequence[tf.Tensor], question: Question, score: float
) -> None:
    """Compares what was recorded of layers with the model itself.

    Args:
        model: The model.
        place: Which of its outputs is explained.
        image: One row of each of its inputs.
        question: What is asked, its first explanation about this image.
        score: What the recording answered there.

    Raises:
        UnsupportedModelError: If the model answers otherwise.
    """
    outputs = tf.nest.flatten(model(image[0] if len(image) == 1 else image, training=False))
    output = np.asarray(outputs[place], np.float32).reshape(1, -1)
    first = question.explanation == 0
    units = [np.asarray(unit)[first] for unit in question.unit[:1]]
    asked = question._replace(explanation=question.explanation[first], unit=units, sign=(1,))
    (want,) = answered(asked, output, np.zeros(1, np.int64)).scores
    if not np.allclose(score, want, rtol=1e-2, atol=1e-3):
        raise UnsupportedModelError(
            "What layers do was recorded on symbolic tensors, and the recording answers "
            "otherwise than the model; its layers may depend on more than their arguments. "
            f"Received: {want:.6g} from the model, {score:.6g} from the recording."
        )
