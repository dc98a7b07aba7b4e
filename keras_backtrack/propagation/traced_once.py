"""Functions that are traced once and then called for every layer alike.

A walk takes the same few steps at every layer. Traced operation by operation at each of them, a
network of a hundred layers takes half a minute before its first answer; called as functions, the
steps are traced and optimised once. The call itself costs microseconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import tensorflow as tf


def shared(*shapes_and_dtypes: tuple) -> Callable:
    """Decorator for a function of tensors that is to stay one operation in the program.

    Args:
        *shapes_and_dtypes: Shape and dtype of each argument; None for sizes that differ.
    """
    return tf.function(
        input_signature=[tf.TensorSpec(shape, dtype) for shape, dtype in shapes_and_dtypes],
        experimental_attributes={"_noinline": True},
        autograph=False,
    )


_TENSOR = object()


def call_shared(function: Callable, settings: Any, data: Any, *tensors: tf.Tensor) -> Any:
    """Calls `function(settings, data, *tensors)` as a function shared by all data of one form.

    Args:
        function: What to call. It may be traced once for data that differ in tensors only.
        settings: Something hashable.
        data: A dataclass whose fields are tensors, hashable values, tuples (named ones, too) or
            dataclasses of these.
        *tensors: More tensors.
    """
    found: list[tf.Tensor] = []
    form = _take_apart(data, found)
    found += tensors
    # Into a function called with constants TensorFlow builds these in, and so optimises a copy for
    # every layer: most of the time before the first answer. It cannot see that this is zero.
    zero = tf.minimum(tf.size(tensors[0]), 0)
    found = [
        t + tf.cast(zero, t.dtype) if t.dtype.is_integer and t.shape.is_fully_defined() else t
        for t in found
    ]
    specs = tuple((tensor.shape.rank, tensor.dtype) for tensor in found)
    return _traced_form(function, settings, form, specs, len(tensors))(*found)


@cache
def _traced_form(function: Callable, settings: Any, form: Any, specs: tuple, extra: int) -> Any:
    """The shared function of tensors for data of one form."""

    def call(*found: tf.Tensor) -> Any:
        own = len(found) - extra
        return function(settings, _put_together(form, iter(found[:own])), *found[own:])

    return shared(*(([None] * rank, dtype) for rank, dtype in specs))(call)


def _take_apart(data: Any, found: list[tf.Tensor]) -> Any:
    """What is left of data without its tensors, which go to `found`: something hashable."""
    if tf.is_tensor(data):
        found.append(data)
        return _TENSOR
    if is_dataclass(data):
        parts = tuple(_take_apart(getattr(data, field.name), found) for field in fields(data))
        return type(data), parts
    if isinstance(data, tuple):
        return type(data), tuple(_take_apart(item, found) for item in data)
    return data


def _put_together(form: Any, found: Iterator[tf.Tensor]) -> Any:
    if form is _TENSOR:
        return next(found)
    if not isinstance(form, tuple):
        return form
    cls, parts = form
    parts = [_put_together(part, found) for part in parts]
    return tuple(parts) if cls is tuple else cls(*parts)
