"""Networks to measure on: those of keras_backtrack, and two from files beside the project."""

from pathlib import Path

import numpy as np

from keras_backtrack.graph.compat import keras
from keras_backtrack.models.networks import PREPROCESSING, Network, class_names, load_network
from keras_backtrack.pictures.photos import Frame

layers = keras.layers

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"
_VGG16_BLOCKS = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]
_FIRES = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
_SQUEEZENET_MEAN = np.float32([104, 117, 123])


def load(name: str, models: Path = MODELS, preprocess: str | None = None) -> Network:
    """A network by name, that is shown whole pictures, squeezed.

    Args:
        name: `"vgg16-caltech101"`, `"squeezenet"`, or what `keras_backtrack.models.load_network`
            takes.
        models: Folder of the two networks' weights.
        preprocess: How pixels are prepared for a model file, a key of `PREPROCESSING`.

    Raises:
        FileNotFoundError: If the file of weights is not there.
        ValueError: As `load_network`.
    """
    if name == "vgg16-caltech101":
        return vgg16_caltech101(models / "vgg16_caltech101_f16.npz")
    if name == "squeezenet":
        return squeezenet(models / "squeezenet_v1.0_imagenet.npz")
    return load_network(name, preprocess=preprocess, resize="squeeze")


def vgg16_caltech101(path: Path) -> Network:
    """VGG16 with ImageNet's convolutions and a head for the 101 classes of Caltech-101."""
    arrays = _read(path)
    x = image = keras.Input((224, 224, 3))
    for block, (repeats, filters) in enumerate(_VGG16_BLOCKS, 1):
        for i in range(1, repeats + 1):
            name = f"block{block}_conv{i}"
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(1024, "relu", name="fc1")(x)
    x = layers.Dense(1024, "relu", name="fc2")(x)
    model = keras.Model(image, layers.Dense(101, "softmax", name="predictions")(x))
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([arrays[f"{layer.name}/{k}"].astype("f") for k in ("kernel", "bias")])
    classes = tuple(str(name) for name in arrays["classes"])
    return Network(model, PREPROCESSING["caffe"], classes, Frame.squeeze)


def squeezenet(path: Path) -> Network:
    """SqueezeNet v1.0 for the 1,000 classes of ImageNet (Iandola et al., 2016)."""
    arrays = _read(path)

    def conv(x, name: str, filters: int, size: int, strides: int = 1, padding: str = "valid"):
        return layers.Conv2D(filters, size, strides, padding, activation="relu", name=name)(x)

    x = image = keras.Input((227, 227, 3))
    x = conv(x, "conv1", 96, 7, 2)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    for number, (squeeze, expand) in enumerate(_FIRES, 2):
        x = conv(x, f"fire{number}_conv1x1_1", squeeze, 1)
        one = conv(x, f"fire{number}_conv1x1_2", expand, 1)
        three = conv(x, f"fire{number}_conv3x3_2", expand, 3, padding="same")
        x = layers.Concatenate(name=f"fire{number}_concat")([one, three])
        if number in (4, 8):
            x = layers.MaxPooling2D(3, 2, name=f"pool{number}")(x)
    x = conv(x, "conv10", 1000, 1)
    x = layers.GlobalAveragePooling2D(name="pool10")(x)
    model = keras.Model(image, layers.Activation("softmax", name="predictions")(x))
    for layer in model.layers:
        if layer.weights:
            values = [
                arrays[f"{layer.name.replace('_', '__', 1)}__{k}"] for k in ("kernel", "bias")
            ]
            layer.set_weights(
                [v.astype("f").reshape(w.shape) for v, w in zip(values, layer.weights, strict=True)]
            )
    return Network(model, lambda x: x[..., ::-1] - _SQUEEZENET_MEAN, class_names(), Frame.squeeze)


def _read(path: Path):
    if not path.is_file():
        raise FileNotFoundError(
            f"The network's weights are not there; they are no part of the project. "
            f"Received: {str(path)!r}."
        )
    return np.load(path)
