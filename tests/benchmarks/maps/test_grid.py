"""Mosaics of photographs, on a network of four colours that is written by hand."""

import numpy as np
import pytest
from networks import layers

from benchmarks.maps import cams, grid, mosaics, ours
from benchmarks.maps.subject import Subject
from keras_backtrack.graph.compat import keras
from keras_backtrack.models.networks import PREPROCESSING, Network
from keras_backtrack.pictures.photos import Frame

COLOURS = np.float32([[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [0.6, 0.6, -1.5]])


def subject_of(head):
    """Red, green, blue and yellow, each as far as it stands out, in cells of 4 × 4 pixels."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 1, activation="relu", name="colours")(image)
    x = layers.AveragePooling2D(2, name="halves")(x)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="near")(x)
    x = layers.AveragePooling2D(2, name="quarters")(x)
    if head == "average":
        x = layers.GlobalAveragePooling2D()(x)
    else:
        x = layers.Dropout(0.5)(layers.Flatten()(x))
    model = keras.Model(image, layers.Dense(4, activation="softmax", name="classes")(x))
    model.get_layer("colours").set_weights([COLOURS.T[None, None], np.float32([0, 0, 0, -0.6])])
    near = np.broadcast_to(np.eye(4, dtype="f") / 9, (3, 3, 4, 4))
    model.get_layer("near").set_weights([near, np.zeros(4, "f")])
    kernel = 60 * np.eye(4, dtype="f")
    kernel = kernel if head == "average" else np.tile(kernel / 64, (64, 1))
    model.get_layer("classes").set_weights([kernel, np.zeros(4, "f")])
    names = ("red", "green", "blue", "yellow")
    return Subject(Network(model, PREPROCESSING["unit"], names, Frame.squeeze))


@pytest.fixture
def photos(rng):
    """A patch of colour on grey, each colour four times."""
    x = rng.integers(100, 120, (16, 32, 32, 1)).repeat(3, axis=-1).astype(np.uint8)
    for i, (top, left) in enumerate(rng.integers(2, 12, (16, 2))):
        colour = [(230, 20, 20), (20, 230, 20), (20, 20, 230), (220, 220, 20)][i % 4]
        x[i, top : top + 18, left : left + 18] = colour
    return x


@pytest.mark.usefixtures("plain_graphs")
@pytest.mark.parametrize("head", ["average", "dense"])
def test_networks_for_mosaics(photos, head):
    """They answer for a mosaic what the network itself does for its cells."""
    subject = subject_of(head)
    drawn = mosaics.mosaics(subject, photos, 2, 3)
    assert drawn.photos.shape == (3, 64, 64, 3)
    assert all(sorted(row) == [0, 1, 2, 3] for row in drawn.classes)
    x = subject.prepared(drawn.photos)
    cut = x.reshape(3, 2, 32, 2, 32, 3).swapaxes(2, 3).reshape(12, 32, 32, 3)
    logits = subject.model.predict(cut, verbose=0).reshape(3, 4, 4)
    full = mosaics.disjoint(subject, 2, is_full=True)
    np.testing.assert_allclose(full.model(x), logits.reshape(3, 16), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(full.predict(x).reshape(3, 4, 4).sum(axis=-1), 1, rtol=1e-5)
    part = mosaics.disjoint(subject, 2, is_full=False)
    np.testing.assert_allclose(part.model(x), logits.mean(axis=1), rtol=1e-4, atol=1e-4)
    large = mosaics.enlarged(subject, 2)
    assert large.size == (64, 64) and large.last_map == "quarters"
    if head == "average":
        # Cells see over their edges, which are grey.
        np.testing.assert_allclose(large.model(x), logits.mean(axis=1), rtol=0.05, atol=0.05)


@pytest.mark.usefixtures("plain_graphs")
@pytest.mark.parametrize("name", ["backtrack", "backtrack, pixels", "LayerCAM"])
def test_other_cells_do_not_matter(photos, name):
    """DiFull: where nothing else can matter, nothing else is shown."""
    methods = {**ours.OURS, "LayerCAM": cams.layercam()}
    full = grid.Grids(subject_of("average"), photos, 1).measure("difull", methods[name], 0.02)
    np.testing.assert_allclose(full["2 × 2"], 1, atol=1e-6)
    assert not full["2 × 2, empty"].any() and len(full["2 × 2"]) == 4


@pytest.mark.usefixtures("plain_graphs")
@pytest.mark.parametrize("kind", ["grid", "dipart"])
def test_shares_of_cells(photos, kind):
    grids = grid.Grids(subject_of("average"), photos, 2)
    found = grids.measure(kind, ours.OURS["backtrack"], 0.02, sides=[2])
    assert found["2 × 2"].mean() > 0.9 and found["2 × 2, smoothed"].mean() > 0.9


def test_cells_and_wrong_input(photos):
    own = mosaics.cells((6, 9), 3)
    assert own.shape == (9, 6, 9) and (own.sum(axis=0) == 1).all() and own[5, 2:4, 6:].all()
    with pytest.raises(ValueError, match="9 photos of different classes.*Received: photos of 4"):
        mosaics.mosaics(subject_of("average"), photos, 3, 1)
    image = keras.Input((8, 8, 3))
    with pytest.raises(cams.DoesNotApply, match="global average"):
        mosaics.convolutional(keras.Model(image, layers.Conv2D(2, 3)(image)))
