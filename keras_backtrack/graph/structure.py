"""Whether a model's layers, or their settings, have changed since they were read."""

import operator
from collections.abc import Iterator
from functools import cache
from typing import Any

import tensorflow as tf

from . import compat


class Structure:
    """Tells whether a model's layers have been given other settings, or the model other layers.

    Args:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self._parts = {id(part): part for part in compat.layers_in(model)}
        self._values = {key: _values(part) for key, part in self._parts.items()}
        self._settings = {key: dict(_settings(part)) for key, part in self._parts.items()}

    def changed(self) -> bool:
        """Whether any has."""
        for key, part in self._parts.items():
            now, held = _values(part), self._values[key]
            # Nearly always every attribute is the very same object, which is told at once.
            if len(now) == len(held) and all(map(operator.is_, now, held)):
                continue
            if dict(_settings(part)) != self._settings[key]:
                return True
            self._values[key] = now
        return False


def _values(part: Any) -> list[Any]:
    return list(vars(part).values())


def _settings(part: Any) -> Iterator[tuple[str, Any]]:
    """What an author or a user may set of a layer, by name; not what Keras keeps for itself."""
    kept = _of_keras()
    graph = compat.as_graph_model(part)
    if graph is not None:
        yield "outputs", [_Same(tensor) for tensor in graph.outputs]
        return
    yield "dtype_policy", getattr(getattr(part, "dtype_policy", None), "name", None)
    for name, value in vars(part).items():
        if compat.is_variable(value) or isinstance(value, compat.keras.layers.Layer):
            yield name, _Same(value)
        elif not name.startswith("_") and name not in kept:
            yield name, _token(value)


def _token(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return type(value), value
    if isinstance(value, (tuple, list)):
        return [_token(part) for part in value]
    is_object = callable(value) or hasattr(value, "shape") or isinstance(value, _TABLE)
    return _Same(value) if is_object else None


_TABLE = tf.lookup.StaticHashTable  # of a lookup, which is another when that is adapted anew


class _Same:
    """An object that is equal to itself alone."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value

    __hash__ = None  # type: ignore[assignment]


@cache
def _of_keras() -> frozenset[str]:
    """Attributes that Keras changes when a model is called, compiled or trained."""
    probe = compat.keras.Sequential([compat.keras.Input((1,)), compat.keras.layers.Dense(1)])
    probe.compile("sgd", "mse")
    return frozenset({"built", "history", "input_spec", "stop_training", *vars(probe)})
