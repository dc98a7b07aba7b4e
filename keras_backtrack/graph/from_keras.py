"""Reads a Keras model into a `Graph`: nested models unrolled, layers without a rule recorded."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import tensorflow as tf

from . import compat
from .as_layers import as_layer
from .computed import Computed
from .encodings import encoded, takes_strings
from .errors import UnsupportedModelError, told
from .folding import folded
from .graph import Call, Graph, TensorRef
from .layout import channels_first
from .models import check_model, recorded_model, title
from .recording import (
    Recorded,
    asks_for_batch,
    holds_derived_numbers,
    is_channels_first,
    is_recurrent,
    reads_mask,
    record_call,
    record_cell,
)
from .strings import cut_strings_off
from .structures import as_given, given_names, given_specs, keys_of
from .traced import traced


class Known(NamedTuple):
    """What rules know, which live above this package.

    Attributes:
        is_known: Takes a layer or a bare operation; says whether there is a rule for it, or for its
            class with other settings.
        reached: Takes a graph; returns the calls that decisions can come through.
        is_elementwise: Takes an activation; says whether rules know it.
    """

    is_known: Callable[[Any], bool]
    reached: Callable[[Graph], Sequence[Call]]
    is_elementwise: Callable[[Any], bool]


def read_graph(
    model: Any,
    known: Known,
    output: str | int | None = None,
    data_format: str | None = None,
    has_fallback: bool = False,
) -> Graph:
    """Unrolls a built model into the calls its output depends on.

    Of a layer without a rule the layers and operations that its `call` uses are recorded, as far as
    those can be.

    Args:
        model: The model.
        known: What rules know.
        output: Name or index of the output to explain; may be left out where there is only one.
        data_format: Of its inputs, as for `channels_first`.
        has_fallback: Whether there is a rule for any layer, even for a whole model.

    Returns:
        The `Graph`.

    Raises:
        UnsupportedModelError: If it is subclassed and its `call` cannot be recorded.
        ValueError: If the model is not built, or the output is missing or ambiguous.
    """
    graph_model, own = _checked(model, has_fallback), compat.as_graph_model(model)
    # One that was traced knows no names.
    position = _output_position(own or graph_model, output)
    reader = _Reader(known)
    if own is None:
        reader.note(graph_model, model)
        names = given_names(model, given_specs(model))
        others = names
    else:
        names, others = _input_names(own)
    graph = reader.graph(graph_model, names, [position])
    also = {own: name for own, name in zip(others, names, strict=True) if own != name}
    first = channels_first(graph, data_format)
    graph = cut_strings_off(replace(graph, place=position, also=also, channels_first=first))
    return folded(graph.with_true_specs() if reader.has_other_shapes else graph)


class _Reader:
    """Numbers the tensors and names the calls while models are unrolled, one inside the other."""

    def __init__(self, known: Known, found: dict[int, Recorded | str] | None = None) -> None:
        self._known = known
        # By the tensor that a call made first.
        self._found = {} if found is None else found
        self._nested_models: dict[int, Any] = {}
        self._calls: list[Call] = []
        self._names: dict[int, str] = {}
        self._specs: dict[int, tf.TensorSpec] = {}
        self._masks: dict[int, int] = {}
        self._sees_masks = False
        self._is_recorded = False
        self._derived_from: list[Any] = []
        self._times_called: Counter[str] = Counter()
        self.has_other_shapes = False

    def graph(
        self,
        model: Any,
        inputs: Sequence[str],
        outputs: Sequence[int] | None = None,
        path: str = "",
    ) -> Graph:
        """Reads a model whose inputs have these names; `outputs` are the places of those wanted."""
        numbers = [self._new_tensor(*pair) for pair in zip(inputs, model.inputs, strict=True)]
        self._times_called.update(inputs)
        made = self._read(model, numbers, path)
        wanted = made if outputs is None else [made[place] for place in outputs]
        needed, calls = {*wanted, *numbers}, []
        for call in reversed(self._calls):
            if needed.intersection(call.outputs):
                needed.update(call.inputs, call.outputs)
                calls.append(call)
        return Graph(
            calls=tuple(reversed(calls)),
            inputs=tuple(numbers),
            outputs=tuple(wanted),
            specs={number: self._specs[number] for number in sorted(needed)},
            names={number: self._names[number] for number in sorted(needed)},
            is_recorded=self._is_recorded,
            derived_from=tuple(self._derived_from),
        )

    def _new_tensor(self, name: str, symbolic: Any) -> int:
        number = len(self._names)
        self._names[number] = name
        self._specs[number] = tf.TensorSpec(symbolic.shape, symbolic.dtype)
        return number

    def _read(
        self, model: Any, inputs: list[int], path: str, is_recording: bool = False
    ) -> list[int]:
        """Reads one model called on the tensors `inputs`; returns the numbers of its outputs.

        `path` is put before all names; `is_recording` says that it is what a layer is made of.
        """
        known = {id(tensor): n for tensor, n in zip(model.inputs, inputs, strict=True)}
        for made in compat.recorded_calls(model):
            arguments, symbolic, read, sized = _numbered(made, known)
            if takes_strings(made.layer):
                self._specs.update(
                    {n: tf.TensorSpec(self._specs[n].shape, tf.string) for n in read}
                )
            # Keras numbers the operations anew each time a layer is recorded.
            name = path + ((is_recording and compat.operation_name(made.layer)) or made.layer.name)
            if compat.always_trains(made, is_recording):
                raise UnsupportedModelError(
                    "A layer that is called with training=True depends on the other images of a "
                    "batch, or on chance, and so does what it decides: call it without. "
                    f"Received: {name!r} of class {type(made.layer).__name__}."
                )
            nested = self._nested(made.layer)
            self._sees_masks |= any(compat.mask_of(tensor) is not None for tensor in symbolic)
            inner = Recorded(nested, []) if nested is not None else self._opened(made)
            if isinstance(inner, Recorded):
                masks = [self._mask(symbolic[place], known) for place in inner.masked]
                inside = is_recording or nested is None
                if nested is not None:
                    # Keras gives nested models their masks as well, which their layers find.
                    read = read[: len(nested.inputs)]
                outputs = self._read(inner.model, [*read, *masks], name + "/", inside)
            else:
                cell, problem = self._cell(made, name)
                is_given = any(tf.as_dtype(value.dtype) == tf.bool for value in symbolic)
                if reads_mask(made.layer) and self._sees_masks and not is_given:
                    read.append(self._mask(symbolic[0], known))
                call = Call(
                    name, made.layer, *arguments, tuple(read), (), cell, sized, inner or problem
                )
                outputs = self._add(call, made.outputs)
            known.update((id(t), n) for t, n in zip(made.outputs, outputs, strict=True))
        return [known[id(tensor)] for tensor in model.outputs]

    def _add(self, call: Call, made: list) -> list[int]:
        """Adds a call, which gets new tensors for what it makes."""
        self._times_called[call.name] += 1
        name = call.name
        if self._times_called[name] > 1:
            name = f"{name}:{self._times_called[name]}"
        outputs = [
            self._new_tensor(f"{name}[{i}]" if i else name, tensor) for i, tensor in enumerate(made)
        ]
        self._calls.append(replace(call, name=name, outputs=tuple(outputs)))
        return outputs

    def _mask(self, symbolic: Any, known: dict[int, int]) -> int:
        """Number of a tensor's mask, which an operation reads while the graph runs."""
        number, mask = known[id(symbolic)], compat.mask_of(symbolic)
        if id(mask) in known:
            return known[id(mask)]
        if number not in self._masks:
            name = f"{self._names[number]}/mask"
            call = Call(name, compat.mask_operation(), (TensorRef(number),), {}, (number,), ())
            made = tf.TensorSpec(symbolic.shape[:2], tf.bool)
            (self._masks[number],) = self._add(call, [made])
        return self._masks[number]

    def _nested(self, layer: Any) -> Any | None:
        """The calls of a nested model; None of what is no graph model."""
        model = compat.as_graph_model(layer)
        if model is not None and id(layer) not in self._nested_models:
            self._nested_models[id(layer)] = _without_sizes(model)
        return self._nested_models.get(id(layer))

    def _opened(self, made: compat.KerasCall) -> Recorded | str:
        """What a layer nobody knows is made of; or why that is not known either.

        Nothing is said of layers that there are rules for.
        """
        pieces = encoded(made)
        if pieces is not None:
            # Of texts in a column Keras 3 says that their bags have an axis more than they have.
            self.has_other_shapes |= pieces.outputs[0].shape != made.outputs[0].shape
            return Recorded(pieces, [])
        operation, is_known = compat.operation_name(made.layer), self._known.is_known(made.layer)
        if operation and (is_known or isinstance(made.layer, compat.Operation)):
            return ""
        model = as_layer(made, operation) if operation else None
        # Looked into, a layer with settings of its own may be that operation again.
        if model is not None and self._known.is_known(model.layers[-1]):
            return Recorded(model, [])
        is_opened = not self._known.is_elementwise(getattr(made.layer, "activation", None))
        is_opened = is_opened and is_known and not is_recurrent(made.layer)
        if is_known and not is_channels_first(made.layer) and not is_opened:
            return ""
        key = id(made.outputs[0])
        if key not in self._found:
            self._found[key] = self._recorded(made, is_opened)
        found = self._found[key]
        if isinstance(found, Recorded):
            self.note(found.model, made.layer)
        return found

    def _recorded(self, made: compat.KerasCall, is_opened: bool) -> Recorded | str:
        reason = ""
        # Of a bare operation nothing but TensorFlow's operations is known.
        for record in (traced,) if compat.operation_name(made.layer) else (record_call, traced):
            try:
                inner = record(made, self._sees_masks, is_opened)
            # A layer's `call` may do anything, and fail with anything, on symbolic tensors.
            except Exception as error:
                reason = f"its `call` cannot be followed: {told(error)}"
                continue
            returned, said = len(inner.model.outputs), len(made.outputs)
            if returned != said:
                reason = f"its `call` returns {returned} tensors, but was said to return {said}"
                continue
            if asks_for_batch(inner.model):
                continue
            # Rather than an operation somewhere inside, the layer is what a user can give a rule.
            names = [str(place) for place in range(len(inner.model.inputs))]
            reader = _Reader(self._known, self._found)
            inside = self._known.reached(reader.graph(inner.model, names))
            missing = {
                call.kind: call
                for call in inside
                if compat.operation_name(call.layer) and not self._known.is_known(call.layer)
            }
            if not missing:
                return inner
            used = [
                f"{kind!r}{getattr(missing[kind].layer, 'line', '')}" for kind in sorted(missing)
            ]
            reason = f"its `call` uses operations without a rule: [{', '.join(used)}]"
        return reason

    def _cell(self, made: compat.KerasCall, name: str) -> tuple[Graph | None, str]:
        """What a recurrent layer does at each time step; or None, and why that is not known."""
        if not is_recurrent(made.layer):
            return None, ""
        try:
            model = record_cell(made)
        # As in `_recorded`.
        except Exception as error:
            return None, told(error)
        self.note(model, made.layer)
        inside = _Reader(self._known, self._found)
        names = ["step", *(f"state{i}" for i in range(1, len(model.inputs)))]
        graph = inside.graph(model, names, path=f"{name}/")
        self._derived_from.extend(graph.derived_from)
        return graph, ""

    def note(self, model: Any, layer: Any) -> None:
        """Notes that a layer was recorded, and what numbers in there may have been made from."""
        self._is_recorded = True
        if holds_derived_numbers(model):
            self._derived_from.extend(getattr(layer, "weights", ()))


def _numbered(
    made: compat.KerasCall, known: dict[int, int]
) -> tuple[tuple[tuple, dict], list[Any], list[int], int]:
    """A call's arguments with numbers in place of symbolic tensors.

    Returns:
        The arguments, the symbolic tensors, the numbers of the tensors that are read, and how many
        of them, at the end, are only asked for their sizes.
    """
    values = tf.nest.flatten((made.args, made.kwargs))
    symbolic = [value for value in values if compat.is_symbolic(value)]
    read = [known[id(tensor)] for tensor in symbolic]
    computed = [value for value in values if isinstance(value, Computed)]
    sources = {known[id(s)]: s for value in computed for s in value.sources}
    varying = [n for n, source in sources.items() if None in source.shape.as_list()[1:]]
    refs = {sources[n].name: TensorRef(n) for n in varying}

    def place(value: Any) -> Any:
        if isinstance(value, Computed):
            return value.asking(TensorRef(read[0]), refs)
        return TensorRef(known[id(value)]) if compat.is_symbolic(value) else value

    arguments = tf.nest.map_structure(place, (made.args, made.kwargs))
    sized = [number for number in varying if number not in read]
    return arguments, symbolic, [*read, *sized], len(sized)


def _checked(model: Any, has_fallback: bool) -> Any:
    compat.check_backend()
    check_model(model)
    graph_model = compat.as_graph_model(model)
    if isinstance(model, compat.keras.Sequential) and not compat.is_built(model):
        raise ValueError(
            "The model is not built yet, so it has no weights to explain. Give it a keras.Input "
            f"first, or call it once on a batch of data. Received: unbuilt {title(model)}."
        )
    if graph_model is None:
        return recorded_model(model, has_fallback)
    return _without_sizes(graph_model)


def _without_sizes(model: Any) -> Any:
    """A graph model, traced where operations of its own ask for sizes, as in Keras 2.15."""
    if not asks_for_batch(model):
        return model
    given = as_given(model, list(model.inputs))
    found = traced(compat.KerasCall(model, (given,), {}, [])).model
    found.output_names = list(model.output_names)
    return found


def _input_names(model: Any) -> tuple[list[str], list[str]]:
    """What a graph model's inputs are called: by the keys of its dict, if any, and by its layers.

    Where a key is another layer's name, too, layers have their names.
    """
    by_layer = [tensor.name.split(":")[0] for tensor in model.inputs]
    keys = keys_of(model, "inputs")
    by_key = sorted(keys, key=keys.__getitem__) if len(keys) == len(by_layer) else []
    taken = {layer.name for layer in model.layers}.difference(by_layer)
    if not by_key or taken.intersection(keys):
        return by_layer, by_key or by_layer
    return by_key, by_layer


def _output_position(model: Any, output: str | int | None) -> int:
    names = list(model.output_names)
    if output is None and len(names) == 1:
        return 0
    if isinstance(output, int) and not isinstance(output, bool) and 0 <= output < len(names):
        return output
    keys = keys_of(model, "outputs")
    if isinstance(output, str) and (output in keys or names.count(output) == 1):
        return keys[output] if output in keys else names.index(output)
    names = list(keys) or names
    if output is None:
        problem = f"The model has {len(names)} outputs: choose one with `output=`"
    elif isinstance(output, str) and names.count(output) > 1:
        problem = "Several of the model's outputs have this name: choose by index"
    else:
        problem = "The model has no such output"
    raise ValueError(
        f"{problem}, a name of {names} or an index from 0 to {len(names) - 1}. "
        f"Received: output={output!r}."
    )
