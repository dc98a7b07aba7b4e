"""A data set's mistakes, each explained as what was predicted rather than what is true."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ..checks import arguments
from ..explanation.explanation import Explanation
from ..graph.structures import call_model
from .explainer import BacktrackExplainer
from .settings import check_limit


@dataclass(frozen=True, eq=False)
class Mistakes:
    """What a network got wrong.

    Attributes:
        index: (M,) int64, which rows of the data set.
        predicted: (M,) int64, the class the network chose.
        true: (M,) int64, the class it should have chosen.
        explanation: Why the one and not the other, of length M; None where there is no mistake.
        seen: How many rows were looked at.
    """

    index: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    explanation: Explanation | None
    seen: int


def explain_mistakes(
    explainer: BacktrackExplainer,
    x: Any,
    y: Any = None,
    *,
    labels: Sequence[str] | None = None,
    limit: int | None = None,
    batch_size: int = 32,
) -> Mistakes:
    """Finds the images a network classifies wrongly and explains predicted-versus-true for each.

    Args:
        explainer: An explainer of a network that answers with two classes or more.
        x: Images, or several inputs, as for `BacktrackExplainer.explain`, or a `tf.data.Dataset` of
            batches (x, y).
        y: The true classes, (N,) ints or (N, classes) one-hot; with a data set None.
        labels: Names of the classes, for figures.
        limit: Stop after so many mistakes; None for all. Their images are kept in memory.
        batch_size: How many images go through the network at once; a data set has its own.

    Returns:
        The `Mistakes`, in the order of the data.

    Raises:
        ValueError: If images and classes differ in number, there are none, or a class does not
            exist.

    Example:
        >>> wrong = explain_mistakes(explainer, validation, labels=names)
        >>> wrong.explanation[:4].compare()
    """
    arguments.instance("explainer", explainer, BacktrackExplainer)
    limit, size = check_limit("limit", limit), arguments.whole_number("batch_size", batch_size)
    graph = explainer.network.graph.own
    specs = [graph.specs[number] for number in graph.inputs]
    images: list[list[np.ndarray]] = [[] for _ in specs]
    index: list[int] = []
    predicted: list[int] = []
    true: list[int] = []
    seen = 0
    for batch, classes in _batches(x, y, size, len(specs) > 1):
        checked = explainer.network.checked(batch).own or ()
        _check_batch(batch, checked)
        pairs = zip(checked, specs, strict=True)
        tensors = [tf.cast(tf.convert_to_tensor(own), spec.dtype) for own, spec in pairs]
        outputs = tf.nest.flatten(call_model(explainer.model, tensors))
        output = np.asarray(outputs[explainer.output_place], np.float32)
        if output.ndim != 2 or output.shape[1] < 2:
            raise ValueError(
                "Mistakes are found of networks that answer with two classes or more for each "
                f"image. Received: an output of shape {output.shape}."
            )
        classes = _classes(classes, *output.shape)
        chosen = output.argmax(axis=1)
        wrong = np.flatnonzero(chosen != classes)
        for found_so_far, own in zip(images, checked, strict=True):
            found_so_far.extend(own[wrong])
        index.extend(seen + wrong)
        predicted.extend(chosen[wrong])
        true.extend(classes[wrong])
        seen += len(output)
        if limit is not None and len(index) >= limit:
            break
    if not seen:
        raise ValueError("There must be at least one image. Received: an empty data set.")
    rows, chosen, classes = (np.array(c[:limit], np.int64) for c in (index, predicted, true))
    found = None
    if index:
        stacked = [np.stack(own[:limit]) for own in images]
        given = stacked if len(stacked) > 1 else stacked[0]
        found = explainer.explain(
            given, chosen, versus=classes, labels=labels, batch_size=batch_size
        )
    return Mistakes(rows, chosen, classes, found, seen)


def _check_batch(batch: Any, checked: Sequence[np.ndarray]) -> None:
    # What is no dict may be one array in nested lists.
    given = batch.values() if isinstance(batch, dict) else [batch] if len(checked) == 1 else batch
    shapes = [np.shape(values) for values in given]
    if sorted(map(_axes, shapes)) != sorted(_axes(rows.shape) for rows in checked):
        raise ValueError(
            "Images must come in batches, as data.batch(8) makes them. "
            f"Received: a batch of shape {shapes[0] if len(shapes) == 1 else shapes}."
        )


def _axes(shape: tuple[int, ...]) -> int:
    """How many axes a batch has; a column, as of texts, may as well be given as a list."""
    return 1 if shape[1:] == (1,) else len(shape)


def _batches(x: Any, y: Any, batch_size: int, has_several: bool) -> Iterable[tuple[Any, Any]]:
    if isinstance(x, tf.data.Dataset):
        if y is not None:
            raise ValueError(
                f"A data set brings its own classes, so `y` must be None. Received: {type(y)}."
            )
        for element in x:
            if not isinstance(element, tuple) or len(element) < 2:
                raise ValueError(
                    "A data set must be of batches (x, y), y being the true classes. "
                    f"Received: {x.element_spec}."
                )
            yield element[0], element[1]
        return
    is_dict, is_list = isinstance(x, dict), has_several and isinstance(x, (list, tuple))
    parts = list(x.values() if is_dict else x) if is_dict or is_list else [x]
    images, classes = arguments.length(parts[0]) if parts else None, arguments.length(y)
    if images is None or {*map(arguments.length, parts)} != {classes}:
        raise ValueError(
            "`x` must be an array of images, and `y` have a class for each image. Received: "
            f"{'no' if images is None else images} images and "
            f"{'none' if classes is None else classes}."
        )
    for start in range(0, images, batch_size):
        rows = [values[start : start + batch_size] for values in parts]
        batch = dict(zip(x, rows, strict=True)) if is_dict else rows if is_list else rows[0]
        yield batch, y[start : start + batch_size]


def _classes(y: Any, images: int, count: int) -> np.ndarray:
    """(images,) int64 from classes or one-hot rows."""
    y = arguments.numbers("y", y)
    if y.shape == (images, count):
        y = y.argmax(axis=1)
    y = y.reshape(-1) if y.shape == (images, 1) else y
    if y.shape != (images,) or (y != y.astype(np.int64)).any() or y.min() < 0 or y.max() >= count:
        raise ValueError(
            f"The true classes must be ({images},) ints from 0 to {count - 1}, or one-hot rows "
            f"({images}, {count}). Received: {y[:10]!r}."
        )
    return y.astype(np.int64)
