"""What is asked of texts that a user gives, and of the words that stand for numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..checks import arguments
from ..graph.compat import is_symbolic
from ..graph.graph import Graph
from ..graph.strings import Given


def check_is_known(x: Any) -> None:
    """Raises TypeError for a tensor that stands for numbers or texts which nobody knows yet."""
    if is_symbolic(x) or (tf.is_tensor(x) and not hasattr(x, "numpy")):
        raise TypeError(
            "`x` must hold numbers: an explanation is no part of a model, and not made inside of a "
            f"tf.function. Received: the symbolic tensor {x!r}."
        )


def check_texts(x: Any, shape: tuple[int | None, ...], name: str) -> np.ndarray:
    """Makes a batch of what a user gave as texts.

    Args:
        x: A text, a list, array or tensor of texts, with or without the last axis of one.
        shape: The model's input shape without the batch axis.
        name: Of the input.

    Returns:
        `x` as an array of bytes with a batch axis, dtype object.

    Raises:
        TypeError: If `x` does not hold texts.
        ValueError: If it is empty or has the wrong shape.
    """
    check_is_known(x)
    try:
        # NumPy makes a text of any number beside one.
        found = np.array(x, object) if isinstance(x, (list, tuple)) else np.asarray(x)
    except ValueError:  # Rows of several lengths.
        found = np.empty(0, float)
    texts = found.reshape(-1).tolist()
    if found.dtype.kind not in "OSU" or not all(isinstance(text, (str, bytes)) for text in texts):
        wrong = next((text for text in texts if not isinstance(text, (str, bytes))), None)
        held = f"{wrong!r} among {type(x).__name__}" if found.dtype == object else found.dtype
        raise TypeError(
            f"`x` must hold texts for the input {name!r}, str or bytes, as for `model.predict`. "
            f"Received: {held}."
        )
    batch = found
    if shape == (1,) and found.ndim < 2:
        batch = found.reshape(-1, 1)  # A column, or what is in one row of it.
    elif found.ndim == len(shape):
        batch = found[None]
    is_fit = batch.ndim == len(shape) + 1 and all(
        want in (None, have) for want, have in zip(shape, batch.shape[1:], strict=False)
    )
    if not is_fit or not batch.size:
        expected = ", ".join(["batch", *("any" if n is None else str(n) for n in shape)])
        raise ValueError(
            f"`x` must hold at least one text for the input {name!r}, in the shape ({expected}). "
            f"Received: shape {found.shape}."
        )
    encoded = np.empty(len(texts), object)
    encoded[:] = [text.encode() if isinstance(text, str) else text for text in texts]
    return encoded.reshape(batch.shape)


def check_vocabulary(vocabulary: Any, graph: Graph) -> dict[str, tuple[str, ...]]:
    """The words that numbers stand for, by name of the input.

    Args:
        vocabulary: A list of words, for a model with one input of whole numbers; or a dict of such
            lists by name of the input, or by the model's own key; None for none.
        graph: The model's calls.

    Raises:
        TypeError: If there is something else than words.
        ValueError: If there is no such input.
    """
    if vocabulary is None:
        return {}
    own = [number for number in graph.inputs if number in graph.own.inputs]
    fit = [graph.names[number] for number in own if graph.specs[number].shape.rank == 2]
    by_name = vocabulary
    if not isinstance(vocabulary, Mapping):
        words = arguments.texts("vocabulary", vocabulary, "words, or a dict of such lists")
        by_name = dict.fromkeys(fit, words) if len(fit) == 1 else {None: words}
    by_name = {graph.also.get(name, name): words for name, words in by_name.items()}
    if not by_name or not set(by_name) <= set(fit):
        raise ValueError(
            "`vocabulary` must be a list of words where a model has one input of token numbers, "
            f"(batch, tokens), else a dict by its name, of {fit}. Received: {vocabulary!r}."
        )
    of = "words, or a dict of such lists"
    return {name: arguments.texts("vocabulary", own, of) for name, own in by_name.items()}


def with_vocabulary(given: Given, graph: Graph, vocabulary: Mapping[str, Sequence[str]]) -> Given:
    """The same with words for numbers that stand for some.

    Args:
        given: What was given.
        graph: The model's calls.
        vocabulary: As from `check_vocabulary`.
    """
    words = dict(given.words)
    for number, rows in zip(graph.inputs, given.x, strict=True):
        name = graph.names[number]
        if name in vocabulary and name not in words:
            words[name] = [_named(row, vocabulary[name]) for row in rows]
    return given._replace(words=words)


def _named(row: np.ndarray, vocabulary: Sequence[str]) -> list[str]:
    """The words of a row of numbers, without the padding at its end, which has no word."""
    numbers = [int(number) for number in row]
    known = range(len(vocabulary))
    words = [vocabulary[number] if number in known else f"[{number}]" for number in numbers]
    while words and not words[-1]:
        words.pop()
    return words
