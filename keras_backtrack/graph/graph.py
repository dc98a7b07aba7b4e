"""A Keras model as a flat list of calls."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf

from . import compat

# Makes a call's outputs of the tensors it reads, by number.
Run = Callable[[dict[int, Any]], list[Any]]


class AtRun(ABC):
    """Stands in a call's arguments for what is known only when the graph runs."""

    @abstractmethod
    def of(self, tensors: Mapping[int, Any]) -> Any:
        """What it stands for.

        Args:
            tensors: Those that the call reads, by number.
        """


@dataclass(frozen=True)
class TensorRef(AtRun):
    """Stands for a tensor in a call's arguments: its number in the graph."""

    id: int

    def of(self, tensors: Mapping[int, Any]) -> Any:
        return tensors[self.id]


@dataclass(frozen=True)
class Call:
    """One call of one layer.

    Attributes:
        name: Path of the layer through nested models, such as `"backbone/conv1"`. A layer called
            again has the number of the call after a colon: `"conv1:2"`.
        layer: The Keras layer, or a bare operation.
        args, kwargs: The arguments of the call, `TensorRef`s in place of tensors.
        inputs: Numbers of the tensors it reads, in the order of its arguments; behind them those
            of which it asks but the sizes.
        outputs: Numbers of the tensors it makes.
        cell: What a recurrent layer does at each time step, where that could be recorded.
        sized: How many of the inputs it asks but for their sizes.
        unopened: Why it is not known what the layer is made of; empty where that is no question.
        folded: Of those of its tensors that hold several rows of an image, by number how many: the
            layer takes rows for images. A graph's tensors have them as an axis behind the batch's.
        batch_at: Of those whose batch axis the layer has elsewhere, by number where. A graph's
            tensors have it first.
    """

    name: str
    layer: Any
    args: tuple
    kwargs: dict
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    cell: "Graph | None" = None
    sized: int = 0
    unopened: str = ""
    folded: Mapping[int, int] = field(default_factory=dict)
    batch_at: Mapping[int, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows of each image the layer makes."""
        return self.folded.get(self.outputs[0], 1) if self.outputs else 1

    @property
    def operands_read(self) -> int:
        """How many of the inputs it reads numbers of."""
        return len(self.inputs) - self.sized

    def run(self, tensors: dict[int, Any], without_numbers: bool = False, **changed: Any) -> list:
        """Makes the call in inference mode.

        Args:
            tensors: What it reads, by number.
            without_numbers: Whether constants that are no integers are to be 0, and of the dtype of
                what it reads: it moves places about, and what comes from a constant has none.
            **changed: Arguments to give in place of those recorded.

        Returns:
            Its outputs as a flat list.
        """
        given = self.apart(tensors)
        if self.batch_at:
            given = {n: _with_batch(t, 0, self.batch_at.get(n, 0)) for n, t in given.items()}
        args, kwargs = _put_in(given, (self.args, self.kwargs))
        if without_numbers:
            dtype, read = given[self.inputs[0]].dtype, set(map(id, given.values()))
            args, kwargs = tf.nest.map_structure(
                lambda value: value if id(value) in read else _as_nothing(value, dtype),
                (args, kwargs),
            )
        if compat.takes_training(self.layer):
            kwargs["training"] = False
        with compat.any_name():
            made = compat.tensors_in(self.layer(*args, **{**kwargs, **changed}))
        pairs = zip(self.outputs, made, strict=True)
        made = [_with_batch(tensor, self.batch_at.get(n, 0), 0) for n, tensor in pairs]
        rows = [self.folded.get(number) for number in self.outputs]
        return [
            tensor if n is None else tf.reshape(tensor, [-1, n, *_sizes(tensor, 1)])
            for tensor, n in zip(made, rows, strict=True)
        ]

    def apart(self, tensors: Mapping[int, Any]) -> Mapping[int, Any]:
        """Tensors of a graph as the layer takes them: with rows of images as images."""
        if not self.folded:
            return tensors
        return {n: rows_of(t) if n in self.folded else t for n, t in tensors.items()}

    def operands(self, tensors: dict[int, Any]) -> list[Any]:
        """The arguments of a bare operation, tensors put in; names and missing ones left out."""
        values = _put_in(tensors, [*self.args, *self.kwargs.values()])
        return [value for value in values if value is not None and not isinstance(value, str)]

    @property
    def kind(self) -> str:
        """Name of the layer's class, or of the bare operation."""
        return compat.operation_name(self.layer) or type(self.layer).__name__

    def describe(self) -> str:
        """The call for an error message: name, type and the module the type is from."""
        cls = type(self.layer)
        return f"{self.name!r} ({cls.__module__}.{cls.__qualname__})"


def _with_batch(tensor: Any, axis: int, to: int) -> Any:
    """A tensor with its batch axis moved from one place to another, the others in their order."""
    if axis == to:
        return tensor
    others = [other for other in range(tensor.shape.rank) if other != axis]
    return tf.transpose(tensor, [*others[:to], axis, *others[to:]])


def rows_of(tensor: Any) -> Any:
    """A tensor or array of images that hold several rows, as one of rows."""
    if isinstance(tensor, np.ndarray):
        return tensor.reshape(-1, *tensor.shape[2:])
    return tf.reshape(tensor, [-1, *_sizes(tensor, 2)])


def _sizes(tensor: tf.Tensor, first: int) -> list[Any]:
    """Sizes of a tensor's axes from some axis on, ints where they are known."""
    sizes = tensor.shape.as_list()
    return [tf.shape(tensor)[i] if sizes[i] is None else sizes[i] for i in range(first, len(sizes))]


def _put_in(tensors: Mapping[int, Any], arguments: Any) -> Any:
    return tf.nest.map_structure(
        lambda value: value.of(tensors) if isinstance(value, AtRun) else value, arguments
    )


def _as_nothing(value: Any, dtype: tf.DType) -> Any:
    if isinstance(value, float):
        return 0
    kind = getattr(value, "dtype", None)
    if kind is None or not tf.as_dtype(kind).is_floating:
        return value
    return tf.zeros(tf.shape(tf.convert_to_tensor(value)), dtype)


# Operations that tell where something is, or how often.
OF_ORDER = (
    *("argmax", "argmin", "argsort", "bincount", "bucketize", "countnonzero", "digitize"),
    *("lowerbound", "searchsorted", "upperbound"),
)
# Of their second output only.
_OF_ORDER_BESIDE = ("topk", "topkv2")

# Operations that tell no more of a tensor than how large it is.
_OF_SIZES = ("fulllike", "oneslike", "rank", "shape", "size", "sizes", "zeroslike")


@dataclass(frozen=True)
class Graph:
    """The calls between some inputs and some outputs, in an order they can run in.

    Attributes:
        calls: The calls that the outputs depend on.
        inputs: Numbers of the input tensors.
        outputs: Numbers of the output tensors: the one of a model that is explained; of a cell
            its output and its new states.
        specs: Shape and dtype of each tensor, by number; None where a size may vary.
        names: Name of each tensor, by number: its call's, or the input layer's.
        place: Which of the model's outputs it is.
        also: By what inputs may be called besides, their names: those of layers where the model
            takes a dict.
        is_recorded: Whether parts of it are recordings of what the `call` of layers does.
        derived_from: Variables from which numbers were computed that the calls hold: a graph does
            not know what it becomes when these change.
        channels_first: Numbers of the tensors whose channels are before their places.
        before: Where the model takes strings what makes the graph's inputs of the model's own, a
            `Before`; else they are the same.
    """

    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    specs: dict[int, tf.TensorSpec]
    names: dict[int, str]
    place: int = 0
    also: Mapping[str, str] = field(default_factory=dict)
    is_recorded: bool = False
    derived_from: tuple[Any, ...] = ()
    channels_first: frozenset[int] = frozenset()
    before: Any = None

    @property
    def own(self) -> "Graph":
        """The graph whose inputs are the model's own."""
        return self if self.before is None else self.before.graph

    @property
    def output(self) -> int:
        """Number of the output that is explained."""
        return self.outputs[0]

    def maker(self, number: int) -> Call | None:
        """The call that made a tensor; None for an input."""
        return self._makers.get(number)

    @cached_property
    def _makers(self) -> dict[int, Call]:
        return {output: call for call in self.calls for output in call.outputs}

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of each tensor, by its name."""
        return {name: number for number, name in self.names.items()}

    @cached_property
    def switches(self) -> frozenset[int]:
        """Numbers of the tensors that depend on the inputs through comparisons alone, if at all."""
        found: set[int] = set()
        for call in self.calls:
            operation = compat.operation_name(call.layer)
            is_off = found.issuperset(call.inputs) or self.constants.issuperset(call.outputs)
            is_off |= operation in OF_ORDER
            if operation in _OF_ORDER_BESIDE:
                found.update(call.outputs[1:])
            found.update(n for n in call.outputs if is_off or self.specs[n].dtype == tf.bool)
        return frozenset(found)

    @cached_property
    def constants(self) -> frozenset[int]:
        """Numbers of the tensors that depend on the inputs through their sizes alone, if at all."""
        found: set[int] = set()
        for call in self.calls:
            is_sized = compat.operation_name(call.layer) in _OF_SIZES
            if is_sized or found.issuperset(call.inputs[: call.operands_read]):
                found.update(call.outputs)
        return frozenset(found)

    def above(self, *numbers: int) -> "Graph":
        """The part between some tensors and the outputs; they are inputs of that part.

        Args:
            *numbers: Of the tensors, which are no outputs.
        """
        read, calls = set(self.outputs), []
        for call in reversed(self.calls):
            if read.intersection(call.outputs).difference(numbers):
                calls.append(call)
                read.update(call.inputs)
        inputs = [n for n in (*numbers, *self.inputs) if n in read]
        return replace(self, calls=tuple(calls[::-1]), inputs=tuple(dict.fromkeys(inputs)))

    def shapes_for(self, inputs: Sequence[tf.TensorSpec]) -> dict[int, tf.TensorShape]:
        """By number the shape of each tensor for some inputs, found without running anything."""

        def run(*tensors: tf.Tensor) -> dict[int, tf.Tensor]:
            return self.replay(tensors)

        return tf.function(run, autograph=False).get_concrete_function(*inputs).output_shapes

    def with_true_specs(self) -> "Graph":
        """The same, the specs those that TensorFlow finds, where Keras's are wrong."""
        shapes = self.shapes_for([self.specs[number] for number in self.inputs])
        specs = {n: tf.TensorSpec(shapes.get(n, s.shape), s.dtype) for n, s in self.specs.items()}
        return replace(self, specs=specs)

    def resolve(self, layer: str) -> str:
        """Full name of a tensor's layer, as `full_name` of all names finds it."""
        return full_name(layer, list(self.names.values()))

    def replay(
        self, inputs: Sequence[tf.Tensor], instead: Mapping[int, Run] = MappingProxyType({})
    ) -> dict[int, tf.Tensor]:
        """Runs the calls in inference mode.

        Args:
            inputs: One tensor for each of the graph's inputs.
            instead: What is run in place of some calls, by number of their first output.

        Returns:
            Every tensor of the graph by its number, inputs included.
        """
        tensors = dict(zip(self.inputs, inputs, strict=True))
        for call in self.calls:
            run = instead.get(call.outputs[0], call.run) if call.outputs else call.run
            tensors.update(zip(call.outputs, run(tensors), strict=True))
        return tensors


def full_name(layer: str, names: Sequence[str]) -> str:
    """Full name of a tensor's layer that may have been named by its last part.

    Args:
        layer: What it was called.
        names: Of all tensors.

    Raises:
        TypeError: If that is no name.
        ValueError: If there is no such layer, or several.
    """
    if not isinstance(layer, str):
        raise TypeError(f"`layer` must be the name of a layer. Received: {layer!r}.")
    if layer in names:
        return layer
    matches = [name for name in names if name.endswith(f"/{layer}")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ValueError(f"Several layers have this name: {matches}. Received: {layer!r}.")
    near = difflib.get_close_matches(layer, names, n=3, cutoff=0.4)
    raise ValueError(
        "There is no such layer between the model's input and its output"
        + (f"; near it are {near}" if near else "")
        + f". Received: {layer!r}."
    )


def in_dtype(x: np.ndarray, dtype: str) -> np.ndarray:
    """Numbers as a model takes them."""
    with np.errstate(over="ignore"):
        return x.astype(dtype, copy=False)
