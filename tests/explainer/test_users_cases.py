"""What people want explained, and where other tools break."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_backtrack import BacktrackExplainer, moved, register_rule
from keras_backtrack.graph.compat import KERAS_3, keras

layers = keras.layers


def explain(model, x, **settings):
    """Every method: all mass is accounted for, and what comes out has the rank of the input."""
    for method in ("viterbi", "posterior", "backtrack"):
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


@pytest.mark.slow
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


def test_image_and_vector(rng):
    """Which of a model's inputs a decision rests on, and where in it."""
    image, vector = keras.Input((12, 12, 3), name="image"), keras.Input((5,), name="vector")
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    y = layers.Dense(6, activation="relu")(vector)
    head = layers.Dense(3, kernel_initializer="ones")(layers.Concatenate()([x, y]))
    model = keras.Model([image, vector], head)
    pictures, vectors = rng.uniform(size=(2, 12, 12, 3)), rng.uniform(size=(2, 5))
    settings = {"method": "viterbi", "contrast": False}
    e = BacktrackExplainer(model, None, None, None, **settings).explain([pictures, 1e6 * vectors])
    assert e.inputs == ["image", "vector"] and e.input == "image"
    assert (e.input_mass[:, 1] > 0.99).all()
    np.testing.assert_allclose(e.input_mass.sum(axis=1) + e.lost, 1, atol=1e-4)
    on_vector = e.of("vector")
    np.testing.assert_allclose([m.sum() for m in on_vector.mass], e.input_mass[:, 1], rtol=1e-5)
    assert set(on_vector.pixels[0][:, 0]) <= set(range(5))
    by_name = {"vector": 1e-6 * vectors, "image": pictures}
    e = BacktrackExplainer(model, None, None, None, **settings).explain(by_name)
    assert (e.input_mass[:, 0] > 0.99).all() and e.attention().shape == (2, 12, 12)


def test_siamese(rng):
    """Both of two compared pictures explain how alike they are, each by itself."""
    image = keras.Input((9, 9, 1))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    encode = keras.Model(image, layers.Dense(4)(layers.Flatten()(x)))
    first, second = keras.Input((9, 9, 1)), keras.Input((9, 9, 1))
    alike = layers.Dot(1, normalize=True)([encode(first), encode(second)])
    model = keras.Model([first, second], alike)
    x = [rng.uniform(size=(2, 9, 9, 1)), rng.uniform(size=(2, 9, 9, 1))]
    for method in ("backtrack", "viterbi", "posterior"):
        e = BacktrackExplainer(model, method=method, contrast=False).explain(x, 0)
        np.testing.assert_allclose(e.input_mass.sum(axis=1) + e.lost, 1, atol=1e-4)
        assert (e.input_mass > 0.1).all()


def test_channels_first(rng):
    """The same pixels as of the same network with channels last."""

    def network(data_format, shape):
        x = image = keras.Input(shape)
        x = layers.Conv2D(4, 3, padding="same", data_format=data_format, name="conv")(x)
        x = layers.MaxPooling2D(data_format=data_format)(layers.ReLU()(x))
        x = layers.Flatten(data_format=data_format)(x)
        return keras.Model(image, layers.Dense(3, name="head")(x))

    first, last = network("channels_first", (3, 8, 6)), network("channels_last", (8, 6, 3))
    first.set_weights(last.get_weights())
    x = rng.normal(size=(2, 8, 6, 3))
    settings = {"method": "viterbi", "contrast": False}
    a = BacktrackExplainer(first, None, None, None, **settings).explain(np.moveaxis(x, 3, 1))
    b = BacktrackExplainer(last, None, None, None, **settings).explain(x)
    for i in range(2):
        # The pixels of an input with channels first are its (channel, row) pairs.
        rows = {(r, m) for (_, r), m in zip(a.pixels[i], a.mass[i], strict=True) if m > 1e-3}
        assert {r for r, _ in rows} <= set(b.pixels[i][:, 0])
        assert abs(a.mass[i].sum() - b.mass[i].sum()) < 1e-4


@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
def test_segmentation(method, rng):
    """Why the network sees a thing where it does: a class where it is predicted, or a mask."""
    x = image = keras.Input((None, None, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(4, 2, strides=2, activation="relu")(layers.MaxPooling2D()(x))
    model = keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(x))
    x = rng.uniform(size=(2, 12, 16, 3)).astype("float32")
    explainer = BacktrackExplainer(model, method=method)
    is_one = np.asarray(model(x)).argmax(axis=3) == 1
    assert is_one.any(axis=(1, 2)).all() and not is_one.all(axis=(1, 2)).any()
    e = explainer.explain(x, 1, labels=["ground", "thing"])
    by_mask = explainer.explain(x, np.stack([np.zeros_like(is_one), is_one], axis=3))
    assert e.targets.tolist() == [1, 1] and by_mask.targets.tolist() == [-1, -1]
    assert e.titles[0].startswith("thing  ") and by_mask.titles[0].startswith("a mask of units  ")
    np.testing.assert_allclose(e.mass_map(), by_mask.mass_map(), atol=1e-6)
    assert e.plot() is not None and e[0].to_html()
    # Of a part of it what is seen is not far away.
    place = np.argwhere(is_one[0])[0]
    mask = np.zeros((2, 12, 16, 2), bool)
    mask[:, place[0], place[1], 1] = True
    (points, _) = explainer.explain(x, mask).pixels
    assert len(points) and (np.abs(points - place) <= 2).all()
    with pytest.raises(ValueError, match=r"at least one unit.*Received: none for image"):
        explainer.explain(x, np.zeros((12, 16, 2), bool))
    with pytest.raises(ValueError, match=r"output's shape \(12, 16, 2\).*Received"):
        explainer.explain(x, np.ones((12, 15, 2), bool))


@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
def test_rows_of_a_detector(method, rng):
    """Each row is a part of the picture and answers with three classes."""
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 4, strides=4, activation="relu")(image)
    x = layers.Reshape((16, 3))(layers.Conv2D(3, 1, activation="sigmoid")(x))
    model = keras.Model(image, x)
    x = rng.uniform(size=(1, 16, 16, 3)).astype("float32")
    e = BacktrackExplainer(model, method=method).explain(x, 6)
    row = np.asarray(model(x))[0, 6]
    assert e.targets.tolist() == [6 * 3 + row.argmax()]
    assert e.titles == [f"unit {e.targets[0]}  {row.max():.3g}"]
    assert (e.pixels[0] // 4 == [1, 2]).all() and e.to_html()
    with pytest.raises(ValueError, match="from 0 to 15. Received: 16"):
        BacktrackExplainer(model, method=method).explain(x, 16)


@pytest.mark.skipif(
    not KERAS_3, reason="kernels of TensorFlow 2.15 abort on CPUs without half floats"
)
@pytest.mark.parametrize(
    "policy", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)]
)
def test_mixed_precision(policy, rng):
    keras.mixed_precision.set_global_policy(policy)
    try:
        image = keras.Input((16, 16, 3))
        x = layers.BatchNormalization()(layers.Conv2D(8, 3, activation="relu")(image))
        x = layers.DepthwiseConv2D(3, activation="swish")(layers.MaxPooling2D()(x))
        y = layers.Conv2D(8, 1, activation="sigmoid")(layers.AveragePooling2D(2)(x))
        x = layers.Multiply()([layers.AveragePooling2D(2)(x), y])
        x = layers.LSTM(4)(layers.Reshape((-1, 8))(x))
        model = keras.Model(image, layers.Dense(3, activation="softmax", dtype="float32")(x))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    explain(model, rng.uniform(size=(2, 16, 16, 3)))


def test_tokens(rng):
    tokens = keras.Input((9,), dtype="int32")
    x = layers.Embedding(50, 8, mask_zero=True)(tokens)
    x = layers.Bidirectional(layers.LSTM(6))(x)
    model = keras.Model(tokens, layers.Dense(2)(x))
    x = rng.integers(1, 50, size=(2, 9))
    x[0, 5:] = 0
    for method in ("backtrack", "viterbi", "posterior"):
        e = BacktrackExplainer(model, method=method).explain(x)
        assert e.pixels[0].shape[1] == 1 and e.pixels[0].max() < 5
        np.testing.assert_allclose(e.mass[0].sum() + e.lost[0], 1, atol=1e-4)


def test_several_outputs(rng):
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    heads = [layers.Dense(3, name="kind")(x), layers.Dense(1, name="weight")(x)]
    model = keras.Model(image, heads)
    x = rng.uniform(size=(2, 8, 8, 3))
    e = BacktrackExplainer(model, output=1).explain(x)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[1][:, 0], rtol=1e-5)


def test_readme_example_of_a_rule(capsys):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    code = readme.split("## A layer of your own")[1].split("```python")[1].split("```")[0]
    exec(code, {"__name__": "readme"})
    assert "Explanation of 1 decision" in capsys.readouterr().out


def test_a_layer_that_moves_units(rng):
    class Mirror(layers.Layer):
        def call(self, x):
            return tf.reverse(x, [2])

    register_rule(Mirror)(moved)
    image = keras.Input((4, 5, 1))
    model = keras.Model(image, layers.Flatten()(Mirror()(image)))
    e = BacktrackExplainer(model).explain(rng.uniform(size=(1, 4, 5, 1)), 5 * 2 + 1)
    assert e.pixels[0].tolist() == [[2, 3]]
