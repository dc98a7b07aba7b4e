"""Layers that encode categories, opened: which category is at each position, and a vector of it.

All of Keras's do the same two things. What is at a position becomes a number, its index; and the
indices become a one-hot vector each, or a bag: for each category whether it is there, or how often.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from . import compat
from .compat import KerasCall, Operation, keras

layers = keras.layers

_LOOKUPS = layers.IntegerLookup, layers.StringLookup
# Those that can be asked for the index itself, by other settings.
_INDEXING = tuple(
    getattr(layers, name)
    for name in ("Discretization", "HashedCrossing", "Hashing")
    if hasattr(layers, name)
)
_BAGS = "multi_hot", "count", "tf_idf"


class Pieces:
    """Calls between symbolic tensors, with the face of a graph model.

    Attributes:
        inputs, outputs: Symbolic tensors.
        calls: The calls, in the order they run.
        derives: Whether they hold numbers that were computed from variables: never.
    """

    derives = False

    def __init__(self, inputs: list[Any]) -> None:
        self.inputs, self.outputs = inputs, inputs
        self.calls: list[KerasCall] = []

    def add(self, layer: Any, args: tuple, shape: Any, dtype: Any) -> Any:
        """One call more; its output is that of all of them.

        Args:
            layer, args: The call.
            shape, dtype: Of what it makes.
        """
        made = keras.Input(batch_shape=tuple(shape), dtype=tf.as_dtype(dtype).name)
        self.calls.append(KerasCall(layer, args, {}, [made]))
        self.outputs = [made]
        return made


class Tokens(Operation):
    """The tokens of texts as indices, for a `TextVectorization` whose output is a bag.

    Args:
        layer: The `TextVectorization`.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__("tokens", self._indices)
        self.layer = layer

    def _indices(self, texts: tf.Tensor) -> tf.Tensor:
        """(N, T) int64, -1 behind the last token of a text, where at least one position is."""
        found = index_of(self.layer._lookup_layer)(tokens_of(self.layer, texts))
        found = found.to_tensor(-1) if isinstance(found, tf.RaggedTensor) else found
        missing = tf.maximum(1 - tf.shape(found)[1], 0)
        return tf.pad(found, [[0, 0], [0, missing]], constant_values=-1)


def tokens_of(layer: Any, texts: Any) -> Any:
    """What a `TextVectorization` takes texts apart into: strings, (N, T) or ragged."""
    return layer._preprocess(tf.convert_to_tensor(texts))


def index_of(layer: Any) -> Callable[[Any], Any]:
    """What gives a lookup's index of each position; some are of no category."""

    def index(values: Any) -> Any:
        if isinstance(values, tf.RaggedTensor):
            return tf.ragged.map_flat_values(index, values)
        return layer._lookup_dense(tf.cast(values, layer._key_dtype))

    return index


def encoded(made: KerasCall) -> Pieces | None:
    """What a layer that encodes categories is made of; None of any other.

    Args:
        made: A call of it.
    """
    layer, output = made.layer, made.outputs[0]
    mode = _mode_of(layer)
    values = tf.nest.flatten((made.args, made.kwargs))
    inputs = [value for value in values if compat.is_symbolic(value)]
    if mode in (None, "int") or output.shape[-1] is None:
        return None
    is_given_weights = isinstance(layer, layers.CategoryEncoding) and len(inputs) > 1
    # Keras takes a vector of categories for a single bag, across the images of a batch.
    is_text = isinstance(layer, layers.TextVectorization)
    if is_given_weights or (mode in _BAGS and len(inputs[0].shape) != 2 and not is_text):
        return None
    pieces, dtype = Pieces(inputs), tf.as_dtype(output.dtype).name
    if is_text:
        index = pieces.add(Tokens(layer), (inputs[0],), (None, None), "int64")
    elif isinstance(layer, _LOOKUPS):
        index = pieces.add(_index(index_of(layer)), (inputs[0],), inputs[0].shape, "int64")
    elif isinstance(layer, layers.CategoryEncoding):
        index = inputs[0]
    else:
        is_hash = not isinstance(layer, layers.Discretization)
        whole_numbers = {"dtype": "int64"} if is_hash else {}
        other = compat.twin(layer, output_mode="int", sparse=False, **whole_numbers)
        is_crossing = len(inputs) > 1
        index = pieces.add(_index(other, is_crossing), made.args, inputs[0].shape, "int64")
    if mode == "one_hot":
        sizes, classes = tuple(index.shape), output.shape[-1]
        one_hot = Operation("one_hot", one_hot_of)
        vector = pieces.add(one_hot, (index, classes, dtype), (*sizes, classes), dtype)
        if len(sizes) > 1 and sizes[-1] == 1:
            shorter = (*sizes[:-1], classes)
            numbers = [-1 if size is None else size for size in shorter]
            pieces.add(Operation("reshape", tf.reshape), (vector, numbers), shorter, dtype)
        return pieces
    lookup = layer._lookup_layer if is_text else layer
    weights = lookup.idf_weights_const if mode == "tf_idf" else tf.ones([output.shape[-1]])
    bag = Operation("bag", bag_of)
    given = index, weights, mode != "multi_hot", dtype
    pieces.add(bag, given, (index.shape[0], output.shape[-1]), dtype)
    return pieces


def takes_strings(layer: Any) -> bool:
    """Whether a layer takes strings, whatever Keras says of what made them."""
    is_lookup = isinstance(layer, layers.StringLookup) and not layer.invert
    return is_lookup or isinstance(layer, layers.TextVectorization)


def _mode_of(layer: Any) -> str | None:
    kinds = (*_LOOKUPS, *_INDEXING, layers.CategoryEncoding, layers.TextVectorization)
    kind = next((cls for cls in kinds if isinstance(layer, cls)), None)
    if kind is None or type(layer).call is not kind.call:
        return None
    return layer._output_mode if kind is layers.TextVectorization else layer.output_mode


def _index(function: Callable[[Any], Any], is_crossing: bool = False) -> Operation:
    name = "crossing" if is_crossing else "index"
    return Operation(name, lambda *values: tf.cast(function(*values), tf.int64))


def one_hot_of(index: tf.Tensor, classes: int, dtype: str) -> tf.Tensor:
    """A vector for each position, 1 at its category."""
    return tf.one_hot(tf.cast(index, tf.int64), classes, dtype=dtype)


def bag_of(index: tf.Tensor, weights: tf.Tensor, is_count: bool, dtype: str) -> tf.Tensor:
    """Of each category how often it is there, or whether it is.

    Args:
        index: (N, T), the category at each position; what is no category counts for none.
        weights: (categories,) float32, what each counts.
        is_count: Whether it counts as often as it is there.
        dtype: Of what is returned.

    Returns:
        (N, categories).
    """
    there = tf.ones(tf.shape(index))
    count = added_up(there, index, weights)
    return tf.cast(count if is_count else tf.minimum(count, weights), dtype)


def added_up(values: tf.Tensor, index: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The values at the positions of each category, added up and weighted: (N, categories).

    Args:
        values: (N, T) float32.
        index, weights: As for `bag_of`.
    """
    index = tf.cast(index, tf.int64)
    rows, categories = tf.shape(index, tf.int64)[0], tf.size(weights, tf.int64)
    is_one = (index >= 0) & (index < categories)
    own = tf.where(is_one, index, 0)
    values = tf.where(is_one, values * tf.gather(weights, own), 0.0)
    place = tf.range(rows)[:, None] * categories + own
    flat = tf.reshape(values, [-1]), tf.reshape(place, [-1])
    sums = tf.math.unsorted_segment_sum(*flat, rows * categories)
    return tf.ensure_shape(tf.reshape(sums, [rows, categories]), [None, weights.shape[0]])
