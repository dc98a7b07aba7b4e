"""What people want explained, and where other tools break."""

import numpy as np
import pytest

from keras_backtrack import BacktrackExplainer
from keras_backtrack.compat import keras

layers = keras.layers


def explain(model, x, **settings):
    """Both methods: all mass is accounted for, and what comes out has the rank of the input."""
    for method in ("viterbi", "posterior"):
        e = BacktrackExplainer(model, method=method, **settings).explain(x)
        for points, mass, lost in zip(e.pixels, e.mass, e.lost, strict=True):
            assert points.shape == (len(mass), x.ndim - 2) and np.isfinite(mass).all()
            assert abs(mass.sum() + lost - 1) < 1e-4
    return e


def residual(x, filters, rank):
    conv = getattr(layers, f"Conv{rank}D")
    y = conv(filters, 3, padding="same", activation="relu")(x)
    y = layers.BatchNormalization()(conv(filters, 3, padding="same")(y))
    return layers.ReLU()(layers.Add()([conv(filters, 1)(x), y]))


def test_sequential_where_grad_cam_is_used(rng):
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, activation="relu", name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    e = explain(model, rng.uniform(size=(2, 16, 16, 3)))
    assert e.grid("last").shape == (2, 5, 5)


@pytest.mark.slow
def test_nested_resnet50(rng, plain_graphs):
    backbone = keras.applications.ResNet50(
        weights=None, include_top=False, input_shape=(64, 64, 3), pooling="avg"
    )
    image = keras.Input((64, 64, 3))
    model = keras.Model(image, layers.Dense(2)(backbone(image / 127.5 - 1.0)))
    e = explain(model, rng.uniform(0, 255, size=(1, 64, 64, 3)).astype("float32"))
    assert e.grid("conv5_block3_out").shape == (1, 2, 2)


def test_vgg_called_twice(rng):
    backbone = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    image = keras.Input((32, 32, 3))
    both = layers.Concatenate()([backbone(image), backbone(layers.Rescaling(-1.0)(image))])
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(both)))
    explain(model, rng.uniform(size=(1, 32, 32, 3)))


def test_volumes(rng):
    x = image = keras.Input((8, 8, 8, 1))
    x = layers.MaxPooling3D()(layers.Conv3D(4, 3, activation="relu")(x))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    explain(model, rng.uniform(size=(2, 8, 8, 8, 1)))


def test_residual_network_over_signals(rng):
    signal = keras.Input((40, 2))
    x = residual(residual(signal, 4, 1), 4, 1)
    model = keras.Model(signal, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    explain(model, rng.normal(size=(2, 40, 2)))


def test_dense_connections(rng):
    x = image = keras.Input((10, 10, 3))
    for _ in range(3):
        y = layers.Conv2D(4, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(x)))
        x = layers.Concatenate()([x, y])
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    explain(model, rng.normal(size=(2, 10, 10, 3)))


def test_dead_channels(rng):
    x = image = keras.Input((9, 9, 3))
    x = layers.Conv2D(4, 3, activation="relu", bias_initializer=keras.initializers.Constant(-99))(x)
    x = layers.BatchNormalization()(x)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    e = explain(model, rng.uniform(size=(2, 9, 9, 3)))
    assert e.lost.tolist() == [1, 1] and not e.attention().any()
