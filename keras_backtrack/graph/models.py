"""Subclassed models as graph models; and what is no model of this Keras."""

import warnings
from typing import Any

import tensorflow as tf

from . import compat
from .errors import UnsupportedModelError, told
from .recording import asks_for_batch, record_call
from .structures import given_specs
from .traced import traced
from .tracing import trace_call


def title(model: Any) -> str:
    """A model for an error message."""
    return f"model {model.name!r} of class {type(model).__name__}"


def check_model(model: Any) -> None:
    """Raises TypeError for what is no model of this Keras, and says how it would be one."""
    if isinstance(model, compat.keras.Model):
        return
    raise TypeError(
        f"`model` must be a keras.Model of Keras {compat.keras.__version__}. {_way_out(model)}"
        f"Received: {model!r} of type {type(model).__module__}.{type(model).__qualname__}."
    )


def _way_out(model: Any) -> str:
    modules = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    if isinstance(model, compat.keras.layers.Layer):
        return (
            "A layer becomes one with an input: `keras.Sequential([keras.Input(shape), layer])`. "
        )
    if modules.intersection(("tf_keras", "keras")):
        return (
            "This one is of another Keras. Models of tf_keras are explained as they are where "
            "TF_USE_LEGACY_KERAS=1 is in the environment before anything is imported. Or save it, "
            "`model.save('model.h5')`, and load it with this one, `keras.models.load_model("
            "'model.h5', compile=False)`, which works where no convolution is depthwise or "
            "separable. "
        )
    if modules.intersection(("tensorflow", "tensorflow_hub")):
        return (
            "What TensorFlow loads of a SavedModel is known as functions alone. Where the model "
            "was saved as .keras or .h5 as well, load that; else put it in a layer, "
            "`keras.Sequential([keras.Input(shape), keras.layers.TFSMLayer(path, "
            "call_endpoint='serving_default')])`, for which there is `fallback='gradient'`. "
        )
    return ""


class WholeModel:
    """A model as a single call, with the face of a graph model.

    Args:
        model: A subclassed model.
        specs: What it takes.

    Attributes:
        inputs, outputs, output_names: As a graph model has them.
        calls: The call.
        derives: Whether it holds numbers that were computed from variables.

    Raises:
        Exception: Whatever its `call` raises.
    """

    derives = False

    def __init__(self, model: Any, specs: Any) -> None:
        call = _call_of(model, specs)
        trace = trace_call(call, False, False)
        self.inputs, self.outputs, self.output_names = trace.inputs, trace.outputs, trace.names
        unknown = [name for name in trace.names if trace.outputs[0].shape.rank is None]
        if unknown:
            raise ValueError(f"The outputs must have a known rank. Received: {unknown}.")
        given = tf.nest.pack_sequence_as(specs, trace.inputs)
        self.calls = [compat.KerasCall(model, (given,), {}, trace.outputs)]


def _call_of(model: Any, specs: Any) -> compat.KerasCall:
    def symbol(spec: tf.TensorSpec) -> Any:
        return compat.keras.Input(batch_shape=spec.shape, dtype=spec.dtype.name)

    return compat.KerasCall(model, (tf.nest.map_structure(symbol, specs),), {}, [])


def recorded_model(model: Any, has_fallback: bool) -> Any:
    """A graph model of what a subclassed model's `call` does.

    Args:
        model: The model.
        has_fallback: Whether it may be a single call where that cannot be followed.

    Raises:
        UnsupportedModelError: If that fails.
        ValueError: If it is not built.
    """
    specs = given_specs(model)
    if specs is None:
        raise ValueError(_unbuilt(model))
    call = _call_of(model, specs)
    try:
        recorded = record_call(call).model
        if not asks_for_batch(recorded):
            return recorded
    # A model's `call` may do anything, and fail with anything, on symbolic tensors.
    except Exception:
        pass
    try:
        return traced(call).model
    except Exception as error:
        reason, cause = told(error), error
    if has_fallback:
        try:
            whole = WholeModel(model, specs)
        except Exception as error:
            reason, cause = told(error), error
        else:
            warnings.warn(
                f"The {title(model)} is explained as a whole, by its gradient times its input: "
                f"what its `call` does could not be followed. {reason}",
                stacklevel=7,
            )
            return whole
    else:
        reason += ". `fallback='gradient'` takes such a model as a whole, for the linear function "
        reason += "that it is near its input"
    raise UnsupportedModelError(
        "A subclassed model is explained by what its `call` does with symbolic tensors, and "
        f"that failed: {reason}. Let `call` use layers, keras.ops and TensorFlow's own "
        "operations only, or rebuild the model with the Functional API: "
        "`x = keras.Input(shape); keras.Model(x, outputs)`, where `outputs` is computed from "
        f"`x` by the model's layers (they keep their weights). Received: {title(model)}."
    ) from cause


def _unbuilt(model: Any) -> str:
    if compat.KERAS_3 and getattr(model, "built", False) and model.weights:
        return (
            "The model is built, but Keras does not know what it was called with: its `call` "
            "cannot run on symbolic tensors. Say so with `model.build(input_shape)`, such as "
            "(None, 32, 32, 3), a list or a dict of these. "
            f"Received: {title(model)}."
        )
    return (
        "The model is not built yet, so it has no weights to explain. Call it once on a batch "
        f"of data. Received: unbuilt {title(model)}."
    )
