"""What is asked of single arguments, whatever they are for.

Each takes the argument's name and what was given, and returns that or raises an error that says
what was expected and ends in what was received.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

_Given = TypeVar("_Given")


def one_of(name: str, value: Any, choices: Sequence[str | None]) -> Any:
    """One of some words, or None where that is among them."""
    if (value is None or isinstance(value, str)) and value in choices:
        return value
    *first, last = map(repr, choices)
    said = f"{', '.join(first)} or {last}" if first else last
    raise ValueError(f"`{name}` must be {said}. Received: {value!r}.")


def whole_number(name: str, value: Any, least: int = 1, most: float = math.inf) -> int:
    """A whole number in a range."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if is_whole and least <= value <= most:
        return int(value)
    said = f"at least {least}" if most == math.inf else f"{least} to {most}"
    raise ValueError(f"`{name}` must be an int of {said}. Received: {value!r}.")


def number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    of: str = "",
) -> float:
    """A finite number in a range.

    Args:
        name, value: As for all.
        least, above, most: The bounds.
        of: What it is a number of, such as "pixels".
    """
    is_number = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    if is_number and math.isfinite(value) and least <= value <= most and value > above:
        return value
    bounds = (("above", above), ("at least", least), ("at most", most))
    said = " and ".join(f"{word} {bound:g}" for word, bound in bounds if math.isfinite(bound))
    kind = f"a number of {of}" if of else "a finite number"
    raise ValueError(f"`{name}` must be {f'{kind}, {said}'.rstrip(', ')}. Received: {value!r}.")


def truth(name: str, value: Any) -> bool:
    """True or False."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"`{name}` must be True or False. Received: {value!r}.")


def text(name: str, value: Any) -> str:
    """A text."""
    if isinstance(value, str):
        return value
    raise TypeError(f"`{name}` must be a text. Received: {value!r}.")


def function(name: str, value: _Given) -> _Given:
    """What can be called."""
    if callable(value):
        return value
    raise TypeError(f"`{name}` must be a function. Received: {value!r}.")


def instance(name: str, value: Any, kind: type[_Given]) -> _Given:
    """An object of some class."""
    if isinstance(value, kind):
        return value
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    raise TypeError(f"`{name}` must be {article} {kind.__name__}. Received: {value!r}.")


def texts(name: str, values: Any, of: str) -> tuple[str, ...]:
    """A list of texts.

    Args:
        name: Of the argument.
        values: What was given.
        of: What they are, such as "names of layers".
    """
    is_list = isinstance(values, Iterable) and not isinstance(values, (str, bytes, dict))
    found = tuple(values) if is_list and getattr(values, "ndim", 1) != 0 else (None,)
    if not all(isinstance(value, str) for value in found):
        raise TypeError(f"`{name}` must be a list of {of}. Received: {values!r}.")
    return tuple(map(str, found))


def file(name: str, value: Any) -> Path:
    """The path of a file."""
    if not isinstance(value, (str, PathLike)) or not str(value):
        raise TypeError(f"`{name}` must be the name of a file. Received: {value!r}.")
    return Path(value)


@contextmanager
def accessed(path: Path) -> Iterator[None]:
    """While a file is read or written: its errors say which it is."""
    try:
        yield
    except OSError as error:
        raise type(error)(
            f"The file cannot be read or written ({error.strerror or error}). "
            f"Received: {str(path)!r}."
        ) from None


def length(values: Any) -> int | None:
    """How many rows an array or a list has; None for what is neither."""
    is_list = hasattr(values, "__len__") and getattr(values, "ndim", 1) != 0
    return len(values) if is_list and not isinstance(values, (str, bytes, dict)) else None


def numbers(name: str, values: Any) -> np.ndarray:
    """An array of real numbers or truth values."""
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype.kind in "biuf":
        return array
    raise TypeError(
        f"`{name}` must be an array of real numbers. Received: {_kind_of(values, array)}."
    )


def _kind_of(values: Any, array: np.ndarray) -> str:
    shown = repr(values)
    return shown if len(shown) < 80 else f"{type(values).__name__} of dtype {array.dtype}"
