"""A network watched while it trains."""

import numpy as np
import pytest
import tensorflow as tf
from networks import layers
from PIL import Image

from keras_backtrack.callbacks.callback import BacktrackCallback
from keras_backtrack.graph.compat import keras

SIZE, MARK = 20, 4


def pictures(count: int, has_mark: bool, seed: int):
    """Bars that lie (class 0) or stand (class 1), somewhere among noise.

    Where there is a mark, a yellow corner gives class 1 away.

    Returns:
        Images, classes, and masks of the bar and of the corner.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 0.4, (count, SIZE, SIZE, 3))
    y, bars = np.arange(count) % 2, np.zeros((count, SIZE, SIZE), bool)
    for i, stands in enumerate(y):
        row, column = rng.integers(MARK + 1, SIZE - 10, 2)
        height, width = (9, 3) if stands else (3, 9)
        bars[i, row : row + height, column : column + width] = True
    x[bars] += 0.2
    corner = np.zeros_like(bars)
    corner[:, :MARK, :MARK] = True
    if has_mark:
        x[y == 1, :MARK, :MARK] = [1, 1, 0]
    return x.astype(np.float32), y, bars, corner


def network(**settings):
    keras.utils.set_random_seed(1)
    x = image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(12, 5, activation="relu")(image)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.2)(layers.Conv2D(16, 3, activation="relu")(x))
    x = layers.GlobalMaxPooling2D()(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax")(x))
    settings = {"optimizer": keras.optimizers.Adam(0.01), **settings}
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"], **settings)
    return model


def watched(has_mark: bool, **settings):
    """Trains while a callback watches where the mass of other pictures of class 1 is."""
    x, y, _, _ = pictures(256, has_mark, 0)
    seen, classes, bars, corner = (part[1::2] for part in pictures(8, has_mark, 1))
    watch = BacktrackCallback(seen, classes, masks=corner if has_mark else bars, **settings)
    model = network()
    model.fit(x, y, epochs=8, batch_size=32, verbose=0, callbacks=[watch])
    return model, watch


def test_a_shortcut_shows_while_it_is_learned(plain_graphs):
    """The mass moves to the mark that gives the class away; without it, it is on the object."""
    model, watch = watched(has_mark=True)
    on_mark = watch.history["mass on mask"]
    assert watch.history["step"] == list(range(9))
    assert on_mark[0] < 0.6 and on_mark[-1] > 0.8
    assert watch.explainer._program.traces == 1
    titles = [ax.get_title() for ax in watch.plot().axes]
    before, after = (f"{watch.records[k].on_mask[0]:.0%} on mask" for k in (0, 8))
    assert titles[0] == f"epoch 0\n{before}" and titles[8 * 4] == f"epoch 8\n{after}"
    # So do a report's boxes: the heaviest is around the mark.
    seen, classes, _, _ = (part[1::2] for part in pictures(8, True, 1))
    for heaviest, *_ in watch.explainer.explain(seen, classes).boxes(sigma=0.5):
        assert (heaviest <= MARK + 2).all()  # and half a cell of the fine layer
    x, y, _, _ = pictures(64, False, 2)
    x[y == 0, :MARK, :MARK] = [1, 1, 0]
    assert model.evaluate(x, y, verbose=0)[1] < 0.5, "the mark is what it goes by"

    model, watch = watched(has_mark=False)
    assert min(watch.history["mass on mask"][1:]) > 0.8
    x, y, _, _ = pictures(64, False, 2)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9


def fit(callbacks, **settings):
    x, y, _, _ = pictures(64, True, 0)
    model = network(**settings)
    model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=callbacks)
    return model.get_weights()


def test_training_is_not_disturbed(tmp_path, plain_graphs):
    """Bit by bit the same weights, though dropout and shuffling draw random numbers."""
    seen = pictures(4, True, 1)[0]
    watch = BacktrackCallback(seen, per="batch", log_dir=tmp_path, tensorboard=True)
    for alone, beside in zip(fit([]), fit([watch]), strict=True):
        np.testing.assert_array_equal(alone, beside)
    assert len(watch.records) == 1 + 8 and watch.explainer._program.traces == 1


def test_files(tmp_path, plain_graphs):
    x, y, bars, _ = pictures(12, True, 1)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(5)
    watch = BacktrackCallback(
        data,
        "stands",
        2,
        tmp_path,
        tensorboard=True,
        labels=["lies", "stands"],
        count=7,
        masks=bars[:7],
    )
    model = network()
    model.fit(data, epochs=4, validation_data=data, verbose=0, callbacks=[watch])
    assert watch.history["step"] == [0, 2, 4] and len(watch.records[0].pixels) == 7
    record = watch.records[2]
    assert record.targets.tolist() == [1] * 7 and record.scores.dtype == np.float32
    assert {decision.target_name for decision in record.decisions} == {"stands"}
    np.testing.assert_allclose([m.sum() for m in record.mass] + record.lost, 1, atol=1e-4)
    assert set(watch.history) == {"step", "lost mass", "moved", "mass on mask"}
    assert np.isnan(watch.history["moved"][0]) and 0 < watch.history["moved"][1] <= 1
    names = [f"epoch-{step:04d}.png" for step in (0, 2, 4)]
    assert sorted(p.name for p in tmp_path.glob("*.png")) == names
    assert len(watch.plot().axes) == 7 * 3 + 1
    with Image.open(watch.animate(tmp_path / "training.gif")) as moving:
        assert moving.n_frames == 3
    found = {}
    for path in tmp_path.glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.tensor))
    assert {tag: [step for step, _ in values] for tag, values in found.items()} == {
        "backtrack/attention": [0, 2, 4],
        "backtrack/pixels": [0, 2, 4],
        "backtrack/boxes": [0, 2, 4],
        "backtrack/lost_mass": [0, 2, 4],
        "backtrack/mass_on_mask": [0, 2, 4],
        "backtrack/moved": [2, 4],
    }
    _, *pictures_of_all = found["backtrack/attention"][0][1].string_val
    assert len(pictures_of_all) == 1 + 7
    assert tf.io.decode_png(pictures_of_all[1]).shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("method", ["backtrack", "viterbi", "posterior"])
def test_a_film_strip_has_the_maps_of_the_method(method, plain_graphs):
    x, y, *_ = pictures(4, True, 1)
    watch = BacktrackCallback(x, method=method)
    network().fit(x, y, verbose=0, callbacks=[watch])
    frames, attention = watch._frames(), watch._last.attention()
    for decision, own in zip(watch.records[-1].decisions, attention, strict=True):
        found = decision.attention((SIZE, SIZE), frames.sigma)
        np.testing.assert_allclose(found, own, atol=1e-5)


@pytest.mark.parametrize("asked", [{"targets": 1, "versus": 0}, {"targets": 1, "side": "low"}])
def test_other_questions_are_watched(asked, plain_graphs):
    x = pictures(4, True, 1)[0]
    watch = BacktrackCallback(x, labels=["lies", "stands"], **asked)
    watch.set_model(network())
    (record, label) = (
        watch.explain(),
        "stands rather than lies" if "versus" in asked else "stands, why low",
    )
    assert {decision.label for decision in record.decisions} == {label}


def test_on_several_devices(tmp_path):
    """`tf.distribute` on one host: two copies of the network on one CPU."""
    import os
    import subprocess
    import sys
    from pathlib import Path

    code = (
        "import tensorflow as tf\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "two = [tf.config.LogicalDeviceConfiguration()] * 2\n"
        "tf.config.set_logical_device_configuration(cpu, two)\n"
        "from test_callback import BacktrackCallback, network, pictures\n"
        "strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])\n"
        "with strategy.scope():\n"
        "    model = network()\n"
        "x, y, _, _ = pictures(32, True, 0)\n"
        "data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)\n"
        "watch = BacktrackCallback(data)\n"
        "model.fit(data, epochs=2, verbose=0, callbacks=[watch])\n"
        "scores = model.predict(x[:8], verbose=0).max(axis=1)\n"
        "assert abs(scores - watch.records[-1].scores).max() < 1e-5, scores\n"
        "assert watch.history['moved'][1] > 0 and watch.explainer._program.traces == 1\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environ = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"every": 0}, ValueError, "at least 1.*Received: 0"),
        ({"every": None}, ValueError, "at least 1. Received: None"),
        ({"per": "step"}, ValueError, "'epoch' or 'batch'. Received: 'step'"),
        ({"tensorboard": True}, ValueError, "need a folder. Received: log_dir=None"),
        ({"images": tf.data.Dataset.range(0)}, ValueError, "an empty data set"),
        ({"masks": np.zeros((3, SIZE, SIZE))}, ValueError, r"`masks` must.*Received: shape \(3"),
    ],
)
def test_wrong_arguments(settings, error, message):
    with pytest.raises(error, match=message):
        BacktrackCallback(**{"images": np.zeros((1, SIZE, SIZE, 3)), **settings})


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="`log_dir` must be a folder.*Received: .*file"):
        BacktrackCallback(np.zeros((1, SIZE, SIZE, 3)), log_dir=tmp_path / "file")


def test_wrong_arguments_for_the_model():
    x = pictures(4, True, 1)[0]
    model = network()
    for settings, message in [
        ({"targets": "stand", "labels": ["lies", "stands"]}, r"near it are \['stands'\]"),
        ({"targets": "lies", "labels": ["lies"]}, "Received: 1 names for an output"),
    ]:
        watch = BacktrackCallback(x, **settings)
        watch.set_model(model)
        with pytest.raises(ValueError, match=message):
            watch.on_epoch_end(0)
    with pytest.raises(ValueError, match="before the first explanation"):
        BacktrackCallback(x).plot()
