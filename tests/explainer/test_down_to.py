"""Ways back that end at a layer."""

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras

WAYS = [
    {"method": method, "contrast": contrast}
    for method in ("backtrack", "viterbi", "posterior")
    for contrast in (True, False)
]
both = pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way.values())))


def residual():
    keras.utils.set_random_seed(4)
    image = keras.Input((64, 64, 3), name="photo")
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="stem")(image)
    # Without an activation: Intel Extension for TensorFlow takes x + relu(y) for relu(x + y).
    y = layers.Conv2D(4, 3, padding="same", name="inner")(x)
    x = layers.Add(name="sum")([x, y])
    x = layers.Conv2D(8, 3, strides=4, padding="same", activation="relu", name="fine")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="last")(x)
    x = layers.Flatten(name="flat")(x)
    return keras.Model(image, layers.Dense(5, activation="softmax", name="scores")(x))


@pytest.fixture(scope="module")
def model():
    return residual()


@both
def test_the_way_is_the_same_as_far_as_it_goes(model, way, rng):
    x = rng.normal(size=(3, 64, 64, 3))
    whole = BacktrackExplainer(model, layers=["last", "sum"], **way).explain(x)
    assert whole.down_to is None
    for layer in ("last", "sum"):
        e = BacktrackExplainer(model, down_to=layer, **way).explain(x)
        assert e.down_to == layer
        np.testing.assert_allclose(e.mass_map(layer), whole.mass_map(layer), atol=1e-6)
        np.testing.assert_allclose(e.input_mass[:, 0] + e.lost, 1, atol=1e-4)
        # Each cell's mass is in the pixel in its middle.
        cells = e.mass_map(layer)
        size = 64 // cells.shape[1]
        np.testing.assert_allclose(e.mass_map()[:, size // 2 :: size, size // 2 :: size], cells)
        assert [len(p) for p in e.pixels] == [int((each > 0).sum()) for each in cells]
        with pytest.raises(ValueError, match="`down_to` none below it"):
            e.nodes("stem")


@pytest.mark.parametrize("layer, read", [("last", "last"), ("fine", "fine"), ("stem", "fine")])
def test_what_maps_are_read_at(model, layer, read, rng):
    x = rng.normal(size=(2, 64, 64, 3))
    e = BacktrackExplainer(model, down_to=layer).explain(x)
    assert e.fine_layer == read
    whole = BacktrackExplainer(model, layers=["last"]).explain(x)
    sigma = 0.015 * 64
    np.testing.assert_allclose(e.attention(), whole.attention(sigma, layer=read), atol=1e-5)
    assert e.boxes() and e.plot() and e.to_html() and len(e.decisions()) == 2


def test_what_is_below_is_not_read(model):
    """It costs nothing, not even memory."""
    whole, short = (
        BacktrackExplainer(model, down_to=layer).prepare(np.zeros((1, 64, 64, 3)))
        for layer in (None, "fine")
    )
    assert short.nbytes < whole.nbytes


def test_signals(rng):
    signal = keras.Input((40, 2))
    x = layers.Conv1D(4, 5, strides=4, padding="same", activation="relu", name="first")(signal)
    x = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3, name="second")(x))
    model = keras.Model(signal, layers.Dense(3)(x))
    e = BacktrackExplainer(model, down_to="first").explain(rng.normal(size=(2, 40, 2)))
    assert set(np.concatenate(e.pixels)[:, 0]) <= set(range(2, 40, 4))


def test_inputs_without_the_layer_on_their_way(rng):
    photo, table = keras.Input((16, 16, 1), name="photo"), keras.Input((4,), name="table")
    x = layers.Conv2D(3, 3, strides=2, activation="relu", name="map")(photo)
    x = layers.Concatenate()([layers.Flatten()(x), table])
    model = keras.Model([photo, table], layers.Dense(3)(x))
    given = [rng.normal(size=(2, 16, 16, 1)), rng.normal(size=(2, 4))]
    plain = {"method": "posterior", "contrast": False}
    whole = BacktrackExplainer(model, **plain, layers=["map"]).explain(given)
    e = BacktrackExplainer(model, **plain, down_to="map").explain(given)
    assert e.down_to == "map" and e.of("table").down_to is None
    np.testing.assert_allclose(e.input_mass[:, 1], whole.input_mass[:, 1], atol=1e-6)
    np.testing.assert_allclose(e.mass_map("map"), whole.mass_map("map"), atol=1e-6)
    np.testing.assert_allclose(e.input_mass.sum(1) + e.lost, 1, atol=1e-5)


@pytest.mark.parametrize(
    "layer, error, message",
    [
        (3, TypeError, r"name of a layer, or None\. Received: 3"),
        ("nothing", ValueError, r"no such layer .* Received: 'nothing'"),
        ("inner", ValueError, r"Such layers are last, fine, sum, stem\. Received: 'inner'"),
        ("flat", ValueError, r"as many axes as the input.* Received: 'flat'"),
        ("scores", ValueError, r"everything comes through.* Received: 'scores'"),
    ],
)
def test_what_is_refused(model, layer, error, message):
    with pytest.raises(error, match=message):
        BacktrackExplainer(model, down_to=layer)


def test_no_end_above_the_last_map(rng):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(3, 3, strides=2, name="last")(image)
    x = layers.Conv2D(3, 1, name="by_itself")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    model = keras.Model(image, layers.Flatten()(x))
    with pytest.raises(ValueError, match=r"'last': .* contrast=False\. Received: 'by_itself'"):
        BacktrackExplainer(model, down_to="by_itself")
    e = BacktrackExplainer(model, down_to="by_itself", contrast=False, method="viterbi")
    assert e.explain(rng.normal(size=(16, 16, 3))).mass_map("by_itself").shape == (1, 1, 1)
