"""A Keras model as a flat list of calls: nested and shared layers opened up."""

import difflib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tensorflow as tf

from . import compat
from .errors import UnsupportedModelError


@dataclass(frozen=True)
class TensorRef:
    """Stands for a tensor in a call's arguments: its number in the graph."""

    id: int


@dataclass(frozen=True)
class Call:
    """One call of one layer.

    Attributes:
        name: Path of the layer through nested models, such as `"backbone/conv1"`. A layer called
            again has the number of the call after a colon: `"conv1:2"`.
        layer: The Keras layer.
        args, kwargs: The arguments of the call, `TensorRef`s in place of tensors.
        inputs: Numbers of the tensors it reads, in the order of its arguments.
        outputs: Numbers of the tensors it makes.
    """

    name: str
    layer: Any
    args: tuple
    kwargs: dict
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def operands(self, tensors: dict[int, Any]) -> list[Any]:
        """The arguments of a bare operation, tensors put in; names and missing ones left out."""
        values = [*self.args, *self.kwargs.values()]
        values = [tensors[v.id] if isinstance(v, TensorRef) else v for v in values]
        return [value for value in values if value is not None and not isinstance(value, str)]

    @property
    def kind(self) -> str:
        """Name of the layer's class, or of the bare operation."""
        return compat.operation_name(self.layer) or type(self.layer).__name__

    def describe(self) -> str:
        """The call for an error message: name, type and the module the type is from."""
        cls = type(self.layer)
        return f"{self.name!r} ({cls.__module__}.{cls.__qualname__})"


@dataclass(frozen=True)
class Graph:
    """The calls between a model's inputs and one of its outputs, in an order they can run in.

    Attributes:
        calls: The calls that the output depends on.
        inputs: Numbers of the model's input tensors.
        output: Number of the chosen output tensor.
        input_shape, output_shape: Their shapes after the batch axis; None where a size may vary.
        input_dtype: Name of the input's dtype.
        names: Name of each tensor, by number: its call's, or the input layer's.
    """

    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    output: int
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    input_dtype: str
    names: dict[int, str]

    def makers(self, call: Call) -> list[Any]:
        """The layer that made each input of a call; None for the model's own input."""
        return [self._maker.get(number) for number in call.inputs]

    @cached_property
    def _maker(self) -> dict[int, Any]:
        return {output: call.layer for call in self.calls for output in call.outputs}

    def resolve(self, layer: str) -> str:
        """Full name of a tensor's layer that may have been named by its last part.

        Raises:
            ValueError: If there is no such layer, or several.
        """
        names = list(self.names.values())
        if layer in names:
            return layer
        matches = [name for name in names if name.endswith(f"/{layer}")]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise ValueError(f"Several layers have this name: {matches}. Received: {layer!r}.")
        near = difflib.get_close_matches(str(layer), names, n=3, cutoff=0.4)
        raise ValueError(
            "There is no such layer between the model's input and its output"
            + (f"; near it are {near}" if near else "")
            + f". Received: {layer!r}."
        )

    def replay(self, *inputs: tf.Tensor) -> dict[int, tf.Tensor]:
        """Runs the calls in inference mode.

        Args:
            *inputs: One tensor for each of the model's inputs.

        Returns:
            Every tensor of the graph by its number, inputs included.
        """
        tensors = dict(zip(self.inputs, inputs, strict=True))

        def put_in(value: Any) -> Any:
            return tensors[value.id] if isinstance(value, TensorRef) else value

        for call in self.calls:
            args, kwargs = tf.nest.map_structure(put_in, (call.args, call.kwargs))
            if compat.takes_training(call.layer):
                kwargs["training"] = False
            outputs = tf.nest.flatten(call.layer(*args, **kwargs))
            tensors.update(zip(call.outputs, outputs, strict=True))
        return tensors


def read_graph(
    model: Any,
    output: str | int | None = None,
    is_known: Callable[[Any], bool] = lambda layer: True,
) -> Graph:
    """Opens a built model up into the calls its output depends on.

    Args:
        model: The model.
        is_known: Whether a layer can be taken as it is. One that cannot is opened up into the
            layers and operations that its `call` uses, as far as those can be recorded.
        output: Name or index of the output to explain; may be left out where there is only one.

    Returns:
        The `Graph`.

    Raises:
        UnsupportedModelError: If it is subclassed and its `call` cannot be recorded, or it has
            more than one input.
        ValueError: If the model is not built, or the output is missing or ambiguous.
    """
    graph_model = _checked(model)
    reader = _Reader(is_known)
    inputs = [reader.new_tensor(tensor.name.split(":")[0]) for tensor in graph_model.inputs]
    outputs = reader.read(graph_model, inputs, path="")
    position = _output_position(graph_model, output)
    target = outputs[position]
    needed, calls = {target}, []
    for call in reversed(reader.calls):
        if needed.intersection(call.outputs):
            needed.update(call.inputs)
            calls.append(call)
    return Graph(
        calls=tuple(reversed(calls)),
        inputs=tuple(inputs),
        output=target,
        input_shape=tuple(graph_model.inputs[0].shape[1:]),
        output_shape=tuple(graph_model.outputs[position].shape[1:]),
        input_dtype=tf.as_dtype(graph_model.inputs[0].dtype).name,
        names={number: reader.names[number] for number in sorted(needed)},
    )


class _Reader:
    """Numbers the tensors and names the calls while models are opened, one inside the other."""

    def __init__(self, is_known: Callable[[Any], bool]) -> None:
        self._is_known = is_known
        self.calls: list[Call] = []
        self.names: dict[int, str] = {}
        self._times_called: Counter[str] = Counter()

    def new_tensor(self, name: str) -> int:
        number = len(self.names)
        self.names[number] = name
        return number

    def read(self, model: Any, inputs: list[int], path: str, is_opened: bool = False) -> list[int]:
        """Reads one model called on the tensors `inputs`; returns the numbers of its outputs.

        `path` is put before all names; `is_opened` says that the model is a layer opened up.
        """
        known = {id(tensor): n for tensor, n in zip(model.inputs, inputs, strict=True)}
        for made in compat.recorded_calls(model):
            args, kwargs = tf.nest.map_structure(
                lambda value: TensorRef(known[id(value)]) if compat.is_symbolic(value) else value,
                (made.args, made.kwargs),
            )
            read = [v.id for v in tf.nest.flatten((args, kwargs)) if isinstance(v, TensorRef)]
            # Keras numbers the operations anew each time a layer is opened.
            name = path + ((is_opened and compat.operation_name(made.layer)) or made.layer.name)
            nested = compat.as_graph_model(made.layer)
            inner = nested or self._opened(made)
            if inner is not None:
                outputs = self.read(inner, read, name + "/", is_opened or nested is None)
            else:
                self._times_called[name] += 1
                if self._times_called[name] > 1:
                    name = f"{name}:{self._times_called[name]}"
                outputs = [self.new_tensor(name) for _ in made.outputs]
                call = Call(name, made.layer, args, kwargs, tuple(read), tuple(outputs))
                self.calls.append(call)
            known.update((id(t), n) for t, n in zip(made.outputs, outputs, strict=True))
        return [known[id(tensor)] for tensor in model.outputs]

    def _opened(self, made: compat.KerasCall) -> Any | None:
        """What a layer nobody knows is made of; None where that is not known either."""
        if compat.operation_name(made.layer) or self._is_known(made.layer):
            return None
        try:
            inner = compat.opened(made.layer, made.args, made.kwargs)
        # A layer's `call` may do anything, and fail with anything, on symbolic tensors.
        except Exception:
            return None
        operations = [c.layer for c in compat.recorded_calls(inner)]
        operations = [layer for layer in operations if compat.operation_name(layer)]
        # Rather than an operation somewhere inside, the layer is what a user can give a rule.
        return inner if all(map(self._is_known, operations)) else None


def _checked(model: Any) -> Any:
    compat.check_backend()
    if not isinstance(model, compat.keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model of Keras {compat.keras.__version__}. "
            f"Received: {model!r} of type {type(model).__module__}.{type(model).__qualname__}."
        )
    graph_model = compat.as_graph_model(model)
    if isinstance(model, compat.keras.Sequential) and not compat.is_built(model):
        raise ValueError(
            "The model is not built yet, so it has no weights to explain. Give it a keras.Input "
            f"first, or call it once on a batch of data. Received: unbuilt {_title(model)}."
        )
    if graph_model is None:
        graph_model = _recorded(model)
    if len(graph_model.inputs) != 1:
        raise UnsupportedModelError(
            "Models with one input are supported. "
            f"Received: {_title(model)} with {len(graph_model.inputs)} inputs."
        )
    return graph_model


def _recorded(model: Any) -> Any:
    """A graph model of what a subclassed model's `call` does."""
    shape = compat.built_shape(model)
    if shape is None:
        raise ValueError(
            "The model is not built yet, so it has no weights to explain. Call it once on a batch "
            f"of data. Received: unbuilt {_title(model)}."
        )
    try:
        return compat.opened(model, (compat.keras.Input(shape[1:]),), {})
    # A model's `call` may do anything, and fail with anything, on symbolic tensors.
    except Exception as error:
        raise UnsupportedModelError(
            "A subclassed model is explained by recording what its `call` does with one symbolic "
            f"tensor, and that failed ({type(error).__name__}: {error}). Let `call` use layers and "
            "keras.ops only, or rebuild the model with the Functional API: `x = keras.Input(shape);"
            " keras.Model(x, outputs)`, where `outputs` is computed from `x` by the model's layers "
            f"(they keep their weights). Received: {_title(model)}."
        ) from error


def _output_position(model: Any, output: str | int | None) -> int:
    names = list(model.output_names)
    if output is None and len(names) == 1:
        return 0
    if isinstance(output, int) and not isinstance(output, bool) and 0 <= output < len(names):
        return output
    if names.count(output) == 1:
        return names.index(output)
    if output is None:
        problem = f"The model has {len(names)} outputs: choose one with `output=`"
    else:
        problem = "The model has no such output"
    raise ValueError(
        f"{problem}, a name of {names} or an index from 0 to {len(names) - 1}. "
        f"Received: output={output!r}."
    )


def _title(model: Any) -> str:
    return f"model {model.name!r} of class {type(model).__name__}"
