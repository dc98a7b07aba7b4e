"""Networks whose weights lie beside the project, against the reference."""

import pytest
from networks import assert_equals_reference

from benchmarks.maps.masked_photos import read_photos
from benchmarks.maps.networks import load
from keras_backtrack.propagation.limits import Limits

PAPER = Limits(20, 1, 1, False)


def test_vgg16_caltech_on_dragonflies(shared):
    network = load("vgg16-caltech101", shared / "models")
    paths = sorted((shared / "data" / "dragonfly").iterdir())[:3]
    x = network.preprocess(read_photos(paths, network.size))
    predicted = network.model.predict(x, verbose=0).argmax(axis=1)
    assert [network.classes[p] for p in predicted].count("dragonfly") >= 2
    assert_equals_reference(network.model, x, predicted[:, None], PAPER)


def test_squeezenet_knows_imagenet(shared):
    network = load("squeezenet", shared / "models")
    paths = sorted((shared / "data" / "imagenet").iterdir())[::4]
    x = network.preprocess(read_photos(paths, network.size))
    predicted = network.model.predict(x, verbose=0).argmax(axis=1)
    right = sum(int(path.name[:3]) == p for path, p in zip(paths, predicted, strict=True))
    assert right >= 12


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="weights are not there.*squeezenet"):
        load("squeezenet", tmp_path)
