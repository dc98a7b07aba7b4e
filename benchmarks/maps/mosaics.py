"""Mosaics of photographs, and networks that take them: the same weights on a larger picture."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from keras_backtrack.graph.compat import keras

from .cams import DoesNotApply
from .subject import Subject

layers = keras.layers

FINE_JOIN, BEFORE_JOIN, LAST_JOIN = "fine_map", "map_before", "last_map"


class Mosaics(NamedTuple):
    """Pictures of n × n photographs.

    Attributes:
        photos: (M, n · h, n · w, 3) uint8.
        classes: (M, n · n) int, what the network sees in each, row by row; all different.
    """

    photos: np.ndarray
    classes: np.ndarray


def mosaics(
    subject: Subject, photos: np.ndarray, side: int, count: int, least: float = 0.9, seed: int = 0
) -> Mosaics:
    """Draws mosaics of photographs that a network is sure of.

    Args:
        subject: The network for one photograph.
        photos: (N, h, w, 3) uint8.
        side: How many photographs side by side.
        count: How many mosaics.
        least: The probability of the predicted class from which on the network is sure.
        seed: Of the drawing.

    Raises:
        ValueError: If there are too few such photographs of different classes.
    """
    scores = subject.predict(subject.prepared(photos))
    predicted, sure = scores.argmax(axis=1), scores.max(axis=1) >= least
    known = np.unique(predicted[sure])
    if len(known) < side**2:
        raise ValueError(
            f"A mosaic needs {side**2} photos of different classes that the network gives {least} "
            f"or more. Received: photos of {len(known)}."
        )
    rng = np.random.default_rng(seed)
    drawn, found = [], []
    for _ in range(count):
        classes = rng.choice(known, side**2, replace=False)
        picked = [rng.choice(np.flatnonzero(sure & (predicted == c))) for c in classes]
        rows = np.split(photos[picked], side)
        drawn.append(np.concatenate([np.concatenate(list(row), axis=1) for row in rows]))
        found.append(classes)
    return Mosaics(np.stack(drawn), np.stack(found))


def cells(size: tuple[int, int], side: int) -> np.ndarray:
    """Masks of a mosaic's cells, row by row: (side · side, H, W) bool.

    Args:
        size: Height and width of the mosaic.
        side: How many cells side by side.
    """
    row, column = (np.arange(n) * side // n for n in size)
    number = row[:, None] * side + column
    return number == np.arange(side**2)[:, None, None]


class Convolutional(NamedTuple):
    """A network as one that takes pictures of any size.

    Attributes:
        body: From the picture to the map that is averaged over all places.
        top: From there to the logits: the average first.
        last_map: Name of the body's last layer before the classifier.
    """

    body: keras.Model
    top: Sequence[layers.Layer]
    last_map: str


def convolutional(model: keras.Model) -> Convolutional:
    """Takes a network of logits apart; dense layers on a whole map become convolutions.

    Args:
        model: Ends in a global average and what follows it, or in a Flatten and dense layers.

    Raises:
        DoesNotApply: If it has another end.
    """
    kinds = (layers.GlobalAveragePooling2D, layers.Flatten)
    place = next((i for i, n in enumerate(model.layers) if isinstance(n, kinds)), None)
    if place is None:
        raise DoesNotApply("needs a global average, or a Flatten, before the classifier")
    end, *after = model.layers[place:]
    last_map = end.input
    name = next(n.name for n in model.layers if n.output is last_map)
    if isinstance(end, layers.GlobalAveragePooling2D):
        return Convolutional(keras.Model(model.input, last_map), [end, *after], name)
    x, size = last_map, tuple(last_map.shape[1:3])
    for layer in after:
        if isinstance(layer, layers.Dropout):
            continue
        if not isinstance(layer, layers.Dense):
            raise DoesNotApply("needs dense layers alone behind its Flatten")
        options = {"activation": layer.activation, "use_bias": layer.use_bias}
        convolution = layers.Conv2D(layer.units, size, name=f"{layer.name}_map", **options)
        x = convolution(x)
        kernel, *bias = layer.get_weights()
        convolution.set_weights([kernel.reshape(*size, -1, layer.units), *bias])
        size = (1, 1)
    return Convolutional(keras.Model(model.input, x), [layers.GlobalAveragePooling2D()], name)


def enlarged(subject: Subject, side: int) -> Subject:
    """The network for mosaics, fully convolutional: every unit sees as much as it did, and places
    are averaged over the whole mosaic.
    """
    parts = convolutional(subject.model)
    image = _picture(subject, side)
    body = _clone(parts.body, image)
    return _subject(subject, image, _through_top(parts.top, body.output), parts.last_map)


def disjoint(subject: Subject, side: int, is_full: bool) -> Subject:
    """The network for mosaics whose cells each go through a copy of their own.

    Rao et al., *Towards better understanding attribution methods*, CVPR 2022. The copies' maps are
    put side by side at the fine layer and at the last map, where methods read them; for the network
    this changes nothing, since they are cut again right behind.

    Args:
        subject: The network for one photograph.
        side: How many photographs side by side.
        is_full: DiFull: a classifier for each cell, so that the output is (cells, classes), a
            soft-max over each cell's classes: nothing but its own cell can matter to a unit. Else
            DiPart: the cells' last maps are averaged together before one classifier.

    Raises:
        DoesNotApply: If the network cannot be taken apart.
    """
    parts = convolutional(subject.model)
    image = _picture(subject, side)
    joins = {subject.fine_layer: FINE_JOIN}
    if len(parts.top) == 1 and parts.body.get_layer(parts.last_map).output is parts.body.output:
        # Classes have maps of their own: what tells places apart is the map before.
        joins[_before(parts.body, parts.last_map)] = BEFORE_JOIN
    joins[parts.last_map] = LAST_JOIN
    joins = {n.name: joins[n.name] for n in parts.body.layers if n.name in joins}
    x = image
    pieces, names = _pieces(parts.body, list(joins)), [*joins.values(), "averaged_map"]
    for piece, join in zip(pieces, names, strict=False):
        x = _joined([piece(cell) for cell in _cut(x, side)], side, join)
    if not is_full:
        return _subject(subject, image, _through_top(parts.top, x), LAST_JOIN, side)
    size = tuple(n // side for n in x.shape[1:3])
    x = layers.AveragePooling2D(size, size, name="cell_averages")(x)
    for layer in parts.top[1:]:
        if not isinstance(layer, (layers.Dense, layers.Dropout)):
            raise DoesNotApply("needs dense layers alone behind its average")
    x = _through_top(parts.top[1:], x)
    classes = x.shape[-1]
    logits = keras.Model(image, layers.Reshape((side**2 * classes,))(x))
    by_cell = layers.Reshape((side**2, classes))(x)
    whole = keras.Model(image, layers.Softmax()(by_cell))
    network = replace(subject.network, model=whole)
    return Subject(network, logits, LAST_JOIN, side)


def _before(model: keras.Model, name: str) -> str | None:
    """Name of the layer that a layer reads."""
    read = model.get_layer(name).input
    return next((layer.name for layer in model.layers if layer.output is read), None)


def _picture(subject: Subject, side: int):
    height, width = subject.size
    return keras.Input((side * height, side * width, subject.model.input.shape[-1]))


def _subject(subject: Subject, image, logits, last_map: str, side: int = 1) -> Subject:
    model = whole = keras.Model(image, logits)
    if subject.whole is not subject.model:
        whole = keras.Model(image, layers.Activation("softmax")(logits))
    return Subject(replace(subject.network, model=whole), model, last_map, side)


def _clone(model: keras.Model, image) -> keras.Model:
    """A copy with the same weights on another input."""
    copy = keras.models.clone_model(model, input_tensors=image)
    copy.set_weights(model.get_weights())
    return copy


def _through_top(top: Sequence[layers.Layer], x):
    """The classifier's layers, in copies: a layer that is called twice has no single output."""
    for layer in top:
        copy = type(layer).from_config(layer.get_config())
        x = copy(x)
        copy.set_weights(layer.get_weights())
    return x


def _pieces(body: keras.Model, names: Sequence[str]) -> list[Callable]:
    """The body cut behind some of its layers."""
    copy = _clone(body, keras.Input(body.input.shape[1:]))
    ends = [copy.get_layer(name).output for name in names]
    if ends[-1] is not copy.output:
        ends.append(copy.output)
    begins = [copy.input, *ends]
    pairs = zip(begins, ends, strict=False)
    return [keras.Model(a, b, name=f"piece_{i}") for i, (a, b) in enumerate(pairs)]


def _cut(x, side: int) -> list:
    height, width = (n // side for n in x.shape[1:3])
    found = []
    for row in range(side):
        for column in range(side):
            above, left = row * height, column * width
            below, right = (side - 1) * height - above, (side - 1) * width - left
            found.append(layers.Cropping2D(((above, below), (left, right)))(x))
    return found


def _joined(parts: Sequence, side: int, name: str):
    rows = [
        layers.Concatenate(axis=2)(list(parts[i : i + side])) for i in range(0, len(parts), side)
    ]
    return layers.Concatenate(axis=1, name=name)(rows)
