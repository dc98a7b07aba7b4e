"""What a model takes and returns: one tensor, or several in a list, a tuple or a dict."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from .compat import KERAS_3, keras


def keys_of(model: Any, side: str) -> dict[str, int]:
    """By key of the dict that a model takes or returns the place of that tensor; none without one.

    Args:
        model: A graph model.
        side: `"inputs"` or `"outputs"`.
    """
    structure = getattr(model, f"_{side}_struct" if KERAS_3 else f"_nested_{side}", None)
    if not isinstance(structure, dict):
        return {}
    places = {id(tensor): place for place, tensor in enumerate(getattr(model, side))}
    return {str(key): places[id(t)] for key, t in structure.items() if id(t) in places}


def call_model(model: Any, tensors: list[Any]) -> Any:
    """What a model itself answers in inference mode to its inputs, given in their order."""
    return model(as_given(model, tensors), training=False)


def as_given(model: Any, tensors: list[Any]) -> Any:
    """A model's inputs, given in their order, as its `call` takes them."""
    structure = _symbols(model)
    if structure is not None:
        pack = keras.tree.pack_sequence_as if KERAS_3 else tf.nest.pack_sequence_as
        return pack(structure, tensors)
    specs = given_specs(model)
    if specs is not None:
        return tf.nest.pack_sequence_as(specs, tensors)
    return tensors[0] if len(tensors) == 1 else tensors


def _symbols(model: Any) -> Any | None:
    """The symbolic inputs of a graph model, as it takes them; None where there are none."""
    return getattr(model, "_inputs_struct" if KERAS_3 else "_nested_inputs", None)


def given_specs(model: Any) -> Any | None:
    """Shapes and dtypes of what a subclassed model was called with, batches of any size.

    Returns:
        A `tf.TensorSpec`, or several in the structure that the model takes; None where Keras does
        not know.
    """
    symbols = _symbols(model)
    if symbols is not None:
        return tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), symbols)
    if not KERAS_3:
        spec = model.save_spec()
        if spec is not None:
            return spec[0][0]
    shape = _built_shape(model)
    return None if shape is None else _mapped(lambda s: _spec([None, *s[1:]]), shape)


def _built_shape(model: Any) -> Any | None:
    """What a model was built with: a shape, or several in some structure."""
    if not KERAS_3:
        return getattr(model, "_build_input_shape", None)
    shapes = list((getattr(model, "_build_shapes_dict", None) or {}).values())
    return shapes[0] if len(shapes) == 1 and _shapes_in(shapes[0]) else None


def _spec(shape: list[int | None]) -> tf.TensorSpec:
    return tf.TensorSpec(shape, keras.backend.floatx())


def _mapped(function: Callable, structure: Any) -> Any:
    """A function of each shape in a structure, in plain dicts, lists and tuples."""
    if _is_shape(structure):
        return function(tuple(structure))
    if isinstance(structure, dict):
        return {key: _mapped(function, value) for key, value in structure.items()}
    parts = [_mapped(function, value) for value in structure]
    return tuple(parts) if isinstance(structure, tuple) else parts


def _shapes_in(structure: Any) -> bool:
    """Whether a structure is made of shapes."""
    if isinstance(structure, dict):
        return bool(structure) and all(map(_shapes_in, structure.values()))
    if _is_shape(structure):
        return True
    is_list = isinstance(structure, (list, tuple))
    return is_list and bool(structure) and all(map(_shapes_in, structure))


def _is_shape(value: Any) -> bool:
    is_list = isinstance(value, (list, tuple, tf.TensorShape)) and len(value) > 0
    return is_list and all(size is None or isinstance(size, int) for size in value)


def given_names(model: Any, specs: Any) -> list[str]:
    """Names of a subclassed model's inputs: the keys of its dict, or its argument's name."""
    return names_in(specs, next(iter(inspect.signature(model.call).parameters), "input"))


def names_in(structure: Any, name: str) -> list[str]:
    """A name for each part of a structure, in the order that it is flattened in.

    Args:
        structure: Dicts, lists and tuples, or a part alone.
        name: What is put before the places in lists, and what a part alone is called.
    """
    return ["_".join(path) or name for path in _paths(structure, name)]


def _paths(structure: Any, name: str) -> Iterator[tuple[str, ...]]:
    if isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from ((str(key), *rest) for rest in _paths(structure[key], name))
    elif isinstance(structure, (list, tuple)):
        for place, own in enumerate(structure):
            yield from ((name, str(place), *rest) for rest in _paths(own, name))
    else:
        yield ()
