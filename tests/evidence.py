"""Networks trained on tasks whose evidence is planted, and where explanations put it."""

import numpy as np

from keras_backtrack.graph.compat import keras

CELLS = 4  # A side of the pictures has as many, of 4 pixels each.


def trained(model, x, y, loss, epochs):
    model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return model


def per_place(e, size: int, place_of) -> np.ndarray:
    """The mass of each decision in each of some places; `place_of` turns points into them."""
    totals = [
        np.bincount(place_of(points), weights=mass, minlength=size)
        for points, mass in zip(e.pixels, e.mass, strict=True)
    ]
    return np.stack(totals)


def per_cell(e) -> np.ndarray:
    """The mass of each decision in each cell of the pictures."""
    return per_place(e, CELLS**2, lambda p: p[:, 0] // 4 * CELLS + p[:, 1] // 4)


def add_to_cell(picture: np.ndarray, cell: int, channel: int, values) -> None:
    """Adds something to one channel in one cell of a picture."""
    top, left = cell // CELLS * 4, cell % CELLS * 4
    picture[top : top + 4, left : left + 4, channel] += values


def bright_cells(rng, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures of dim noise with one bright cell: they, which cell it is, and its colour."""
    x = rng.uniform(0, 0.1, size=(count, 16, 16, 3)).astype("float32")
    cell, colour = rng.integers(0, CELLS**2, count), rng.integers(0, 3, count)
    for picture, where, channel in zip(x, cell, colour, strict=True):
        add_to_cell(picture, where, channel, 0.7)
    return x, cell, colour
