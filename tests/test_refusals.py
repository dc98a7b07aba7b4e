"""Every refusal of the public face says what was expected, and ends in what was received."""

import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from networks import layers

import keras_backtrack
from keras_backtrack import (
    BacktrackExplainer,
    Explanation,
    explain_func,
    explain_mistakes,
    metrics,
    register_operation,
    register_rule,
    same_place,
    weighted_sum,
)
from keras_backtrack.callbacks import BacktrackCallback
from keras_backtrack.graph.compat import keras
from keras_backtrack.models import efficientnet_lite0, load_network
from keras_backtrack.models.torch_checkpoint import read_checkpoint

NAMES = ["ant", "bee", "cat", "dog", "eel"]

WRONG = {
    "none": None,
    "true": True,
    "below": -1,
    "zero": 0,
    "half": 0.5,
    "nan": float("nan"),
    "infinite": float("inf"),
    "huge": 1e30,
    "text": "x",
    "bytes": b"x",
    "empty": [],
    "texts": ["x", 3],
    "dict": {"a": 1},
    "object": object(),
    "scalar": np.array("x"),
    "names": np.array(["a", "b"]),
    "complex": np.array([1j]),
    "flat": np.zeros((2, 2)),
    "tensor": tf.constant(3),
}


@pytest.fixture(scope="module")
def world():
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 10, 3), name="photo")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = layers.Dense(5, activation="softmax", name="classes")(layers.Flatten()(x))
    model = keras.Model(image, x)
    x = np.random.default_rng(0).random((2, 12, 10, 3), np.float32)
    explainer = BacktrackExplainer(model)
    e = explainer.explain(x, labels=NAMES)
    watch = BacktrackCallback(x)
    watch.set_model(model)
    watch.explain()
    return SimpleNamespace(
        model=model,
        explainer=explainer,
        prepared=explainer.prepare(x),
        x=x,
        e=e,
        versus=explainer.explain(x, 0, versus=1),
        found=e.boxes(labels=NAMES),
        maps=x.mean(-1),
        masks=x.mean(-1) > 0.5,
        watch=watch,
    )


def of_callback(w, **arguments):
    watch = BacktrackCallback(arguments.pop("images", w.x), **arguments)
    watch.set_model(w.model)
    return watch.explain()


def predict(batch):
    return np.zeros((len(batch), 5))


def area_of(w):
    few = {"steps": 2, "batch_size": 4}
    return {"predict": predict, "images": w.x, "maps": w.maps, "targets": [0, 1], **few}


VIEW = {"layer": "none", "refine": "none"}
ASKED = {"targets": "none zero tensor", "versus": "none tensor", "side": "none", "labels": "none"}
AVERAGE = {"average": "none"}
PAIR = {"maps": "", "others": "", **AVERAGE}
REGIONS = {"regions": "", "masks": "", **AVERAGE}
AREA = {"predict": "", "images": "", "maps": "", "targets": "", "steps": "", "batch_size": ""}
AREA = {**AREA, "seed": "zero", **AVERAGE}
MARKS = {"sigma": "none half", "threshold": "none zero half", "layer": "none"}

# By function: how it is called, and of its arguments which of `WRONG` are right.
CALLS = {
    "BacktrackExplainer": (
        lambda w, **a: BacktrackExplainer(a.pop("model", w.model), **a),
        {
            "model": "",
            "top_n": "none",
            "channels": "none",
            "positions": "none",
            "method": "",
            "contrast": "none true zero half",
            "down_to": "none",
            "data_format": "none",
            "vocabulary": "none",
            "include_bias": "true",
            "output": "none zero",
            "layers": "none empty",
            "fallback": "none",
        },
    ),
    "explain": (
        lambda w, **a: w.explainer.explain(a.pop("x", w.x), **a),
        {"x": "", **ASKED, "top": "none", "batch_size": "none", "progress": "true"},
    ),
    "stream": (
        lambda w, **a: list(w.explainer.stream(a.pop("data", [w.x]), **a)),
        {"data": "", **ASKED, "batch_size": "none", "progress": "true"},
    ),
    "prepare": (
        lambda w, **a: w.explainer.prepare(a.pop("x", w.x), **a),
        {"x": "", "batch_size": "none", "memory": ""},
    ),
    "Prepared.explain": (lambda w, **a: w.prepared.explain(**a), ASKED),
    "explain_mistakes": (
        lambda w, **a: explain_mistakes(**{"explainer": w.explainer, "x": w.x, "y": [0, 1], **a}),
        {
            "explainer": "",
            "x": "",
            "y": "",
            "labels": "none",
            "limit": "none",
            "batch_size": "",
        },
    ),
    "explain_func": (
        lambda w, **a: explain_func(**{"model": w.model, "inputs": w.x, "targets": [0, 1], **a}),
        {
            "model": "",
            "inputs": "",
            "targets": "true zero tensor",
            "kind": "",
            "sigma": "none half",
            "method": "",
        },
    ),
    "attention": (lambda w, **a: w.e.attention(**a), {**VIEW, "sigma": "none half"}),
    "refined": (lambda w, **a: w.e.attention(refine="edges", **a), {"images": "none"}),
    "sigma": (lambda w, **a: w.e.sigma(**a), {"layer": "none"}),
    "saliency": (lambda w, **a: w.e.saliency(**a), MARKS),
    "boxes": (
        lambda w, **a: w.e.boxes(**a),
        {**MARKS, "labels": "none names"},
    ),
    "mass_map": (lambda w, **a: w.e.mass_map(**a), {"layer": "none"}),
    "grid": (lambda w, **a: w.e.grid(**a), {"layer": "none"}),
    "nodes": (lambda w, **a: w.e.nodes(**a), {"layer": ""}),
    "of": (lambda w, **a: w.e.of(**a), {"name": ""}),
    "decisions": (lambda w, **a: w.e.decisions(**a), {"names": "none names", "frames": "none"}),
    "pictures": (lambda w, **a: w.e.pictures(**a), {"images": "none"}),
    "way_down": (lambda w, **a: w.e[0].way_down(**a), {"most_nodes": "zero"}),
    "getitem": (lambda w, key: w.e[key], {"key": "below zero empty"}),
    "plot": (lambda w, **a: w.e.plot(**a), {"images": "none", "names": "none names"}),
    "compare": (lambda w, **a: w.versus.compare(**a), {"images": "none", "names": "none names"}),
    "difference": (
        lambda w, **a: w.versus.difference(**a),
        {"sigma": "none half", "layer": "none"},
    ),
    "to_html": (
        lambda w, **a: w.e.to_html(**a),
        {"images": "none", "names": "none names", "files": "none names", "title": "text"},
    ),
    "explained_by": (
        lambda w, **a: w.e.explained_by(**{"explainer": w.explainer, **a}),
        {"explainer": "", "x": "none"},
    ),
    "save": (lambda w, path: w.e.save(path), {"path": ""}),
    "load": (lambda w, path: Explanation.load(path), {"path": ""}),
    "joined": (lambda w, parts: Explanation.joined(parts), {"parts": ""}),
    "Detections.plot": (
        lambda w, **a: w.found.plot(**a),
        {"images": "none", "columns": ""},
    ),
    "Detections.to_coco": (lambda w, **a: w.found.to_coco(**a), {"names": "none names"}),
    "Detections.to_coco to a file": (lambda w, path: w.found.to_coco(path), {"path": "none text"}),
    "Detections.in_image": (lambda w, **a: w.found.in_image(**a), {"image": "zero"}),
    "register_rule": (
        lambda w, **a: register_rule(a.get("layer", Rejected), follows=a.get("follows"))(
            a.get("rule", same_place)
        ),
        {"layer": "", "follows": "none empty", "rule": ""},
    ),
    "register_operation": (
        lambda w, **a: register_operation(a.get("name", "rejected"), follows=a.get("follows"))(
            a.get("rule", same_place)
        ),
        {"name": "text", "follows": "none empty", "rule": ""},
    ),
    "same_place": (
        lambda w, scale: same_place(scale),
        {"scale": "none true below zero half nan infinite huge empty flat tensor"},
    ),
    "weighted_sum": (lambda w, call: weighted_sum(call, tf.multiply, [1.0]), {"call": ""}),
    "load_network": (
        lambda w, **a: load_network(**{"name": "nobody", **a}),
        {"name": "", "weights": "", "preprocess": "", "resize": "", "allow_code": ""},
    ),
    "efficientnet_lite0": (
        lambda w, **a: efficientnet_lite0(**{"weights": None, **a}),
        {"weights": "none", "classes": ""},
    ),
    "read_checkpoint": (lambda w, path: read_checkpoint(path), {"path": "text"}),
    "BacktrackCallback": (
        of_callback,
        {
            "images": "",
            "targets": "none zero tensor",
            "every": "",
            "log_dir": "none text",
            "per": "",
            "tensorboard": "",
            "masks": "none",
            "labels": "none",
            "versus": "none tensor",
            "side": "none",
            "count": "",
            "nobody": "",
        },
    ),
    "BacktrackCallback.set_model": (lambda w, **a: w.watch.set_model(**a), {"model": ""}),
    "BacktrackCallback.plot": (lambda w, **a: w.watch.plot(**a), {"at_most": ""}),
    "BacktrackCallback.animate": (
        lambda w, **a: w.watch.animate(**{"path": "nowhere/training.gif", **a}),
        {"path": "", "fps": ""},
    ),
    **{
        f"metrics.{f.__name__}": (
            lambda w, f=f, **a: f(**{"regions": w.masks, "masks": w.masks, **a}),
            REGIONS,
        )
        for f in (
            *(metrics.precision, metrics.recall, metrics.f1, metrics.iou),
            metrics.pixel_accuracy,
        )
    },
    "metrics.f_beta": (
        lambda w, **a: metrics.f_beta(**{"regions": w.masks, "masks": w.masks, **a}),
        {**REGIONS, "beta_squared": "half huge"},
    ),
    "metrics.pointing_game": (
        lambda w, **a: metrics.pointing_game(**{"maps": w.maps, "masks": w.masks, **a}),
        {"maps": "", "masks": "", "tolerance": "zero half huge", **AVERAGE},
    ),
    **{
        f"metrics.{f.__name__}": (
            lambda w, f=f, **a: f(**{"maps": w.maps, "masks": w.masks, **a}),
            {"maps": "", "masks": "", **AVERAGE},
        )
        for f in (metrics.mass_inside, metrics.mae)
    },
    "metrics.sparsity": (
        lambda w, **a: metrics.sparsity(**{"maps": w.maps, **a}),
        {"maps": "flat", **AVERAGE},
    ),
    **{
        f"metrics.{f.__name__}": (
            lambda w, f=f, **a: f(**{"maps": w.maps, "others": w.maps**2, **a}),
            PAIR,
        )
        for f in (metrics.rank_correlation, metrics.ssim, metrics.class_discrimination)
    },
    **{
        f"metrics.{f.__name__}": (
            lambda w, f=f, **a: f(**{**area_of(w), **a}),
            {**AREA, "baseline": baseline},
        )
        for f, baseline in (
            (metrics.deletion, "true below zero half huge tensor"),
            (metrics.insertion, "none true below zero half huge tensor"),
        )
    },
    "metrics.blur": (lambda w, **a: metrics.blur(**a), {"sigma": "half"}),
    "metrics.noise": (
        lambda w, **a: metrics.noise(**{"deviation": 1.0, **a}),
        {"deviation": "half huge", "seed": "zero"},
    ),
    "metrics.jpeg": (lambda w, **a: metrics.jpeg(**a), {"quality": ""}),
    "metrics.shift": (
        lambda w, **a: metrics.shift(**{"rows": 1, "columns": 1, **a}),
        {"rows": "below zero", "columns": "below zero"},
    ),
    "metrics.flip": (lambda w: metrics.flip(), {}),
    "metrics.stability": (
        lambda w, **a: metrics.stability(
            **{"explain": lambda x: x[..., 0], "images": w.x, "perturbation": metrics.flip(), **a}
        ),
        {"explain": "", "images": "", "perturbation": "", "compare": ""},
    ),
    "metrics.cascading_randomization": (
        lambda w, **a: metrics.cascading_randomization(
            **{"model": w.model, "explain": lambda: w.maps, "shares": [1.0], **a}
        ),
        {"model": "", "explain": "", "compare": "", "shares": "none", "seed": "zero"},
    ),
}


class Rejected(layers.Layer):
    """Gets no rule, since all of them are refused."""


ROWS = [(name, argument) for name, (_, fine) in CALLS.items() for argument in fine]


@pytest.mark.parametrize(("name", "argument"), ROWS, ids=map(".".join, ROWS))
def test_a_wrong_argument(world, name, argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, fine = CALLS[name]
    for kind, value in WRONG.items():
        if kind not in fine[argument].split():
            refused(lambda value=value: call(world, **{argument: value}), f"{argument}={kind}")


def refused(call, said=""):
    try:
        call()
    except (TypeError, ValueError, IndexError, OSError, ImportError, RuntimeError) as error:
        assert re.search(r"[^ ]+ Received: ", str(error)), f"{said}: {error!r}"
    else:
        raise AssertionError(f"{said} was taken")


def test_the_table_has_all_there_is():
    """What is public in the package, its results, the metrics and the callback."""
    named = {name.split(".")[-1].split(" ")[0] for name in CALLS}
    own = {
        *(n for n in keras_backtrack.__all__ if inspect.isfunction(getattr(keras_backtrack, n))),
        *(n for n in metrics.__all__ if inspect.isfunction(getattr(metrics, n))),
        *(n for n, _ in inspect.getmembers(Explanation, callable) if not n.startswith("_")),
        *(n for n in vars(BacktrackExplainer) if not n.startswith("_")),
        *(n for n in vars(BacktrackCallback) if not n.startswith(("_", "on_"))),
    }
    # What takes nothing, what only a run makes, and a rule, which is called by the library alone.
    assert own - named == {"evidence", "from_runs", "moved", "network", "output_place", "summary"}


def a_folder(name):
    Path(name).mkdir()
    return name


def unbatched(w):
    return tf.data.Dataset.from_tensor_slices((w.x, [0, 1]))


LISTED = {
    "attention('big')": lambda w: w.e.attention("big"),
    "saliency(threshold=2)": lambda w: w.e.saliency(threshold=2),
    "saliency(sigma=-1)": lambda w: w.e.saliency(sigma=-1),
    "prepare(memory='1GB')": lambda w: w.explainer.prepare(w.x, memory="1GB"),
    "prepare(memory=1)": lambda w: w.explainer.prepare(w.x, memory=1),
    "stream(None)": lambda w: list(w.explainer.stream(None)),
    "stream([])": lambda w: list(w.explainer.stream([])),
    "save(3)": lambda w: w.e.save(3),
    "save into no folder": lambda w: w.e.save("no/such/folder/a.json"),
    "save a figure into no folder": lambda w: w.e.save("no/such/folder/a.png"),
    "save as nothing": lambda w: w.e.save("a.txt"),
    "save over a folder": lambda w: w.e.save(a_folder("a.npz")),
    "save a figure over a folder": lambda w: w.e.save(a_folder("a.png")),
    "load a folder": lambda w: Explanation.load(a_folder("a.json")),
    "load nothing": lambda w: Explanation.load("nothing.json"),
    "read no checkpoint": lambda w: read_checkpoint("nothing.pth"),
    "a film over a folder": lambda w: w.watch.animate(a_folder("a.gif")),
    "a film that is none": lambda w: w.watch.animate("a.png"),
    "objects into no folder": lambda w: w.found.to_coco("no/such/folder/a.json"),
    "explain(keras.Input)": lambda w: w.explainer.explain(keras.Input((12, 10, 3))),
    "explain in a tf.function": lambda w: tf.function(
        lambda: w.explainer.explain(w.x).scores, autograph=False
    )(),
    "explain a graph's tensor": lambda w: tf.function(
        lambda x: w.explainer.explain(x).scores, autograph=False
    )(w.x),
    "ask in a tf.function": lambda w: tf.function(
        lambda: w.prepared.explain().scores, autograph=False
    )(),
    "e['a']": lambda w: w.e["a"],
    "e[1.5]": lambda w: w.e[1.5],
    "e[7]": lambda w: w.e[7],
    "e[[7]]": lambda w: w.e[[7]],
    "e[[True]]": lambda w: w.e[[True]],
    "e[0, 1]": lambda w: w.e[0, 1],
    "layers='conv'": lambda w: BacktrackExplainer(w.model, layers="conv"),
    "layers=['nobody']": lambda w: BacktrackExplainer(w.model, layers=["nobody"]),
    "too few masks": lambda w: BacktrackCallback(w.x, masks=w.masks[:1]),
    "too few masks of two classes each": lambda w: BacktrackCallback(
        w.x, [[0, 1], [1, 2]], masks=np.concatenate([w.masks, w.masks[:1]])
    ),
    "masks of another size": lambda w: BacktrackCallback(w.x, masks=w.masks[:, 1:]),
    "a single mask": lambda w: BacktrackCallback(w.x, masks=w.masks[0]),
    "watching a data set of no batches": lambda w: of_callback(w, images=unbatched(w)),
    "watching a data set of pairs": lambda w: BacktrackCallback(
        tf.data.Dataset.from_tensors(((w.x, w.x), [0, 1]))
    ),
    "mistakes of a data set of no batches": lambda w: explain_mistakes(w.explainer, unbatched(w)),
    "mistakes with classes twice": lambda w: explain_mistakes(
        w.explainer, unbatched(w).batch(2), [0, 1]
    ),
    "mistakes of another size": lambda w: explain_mistakes(w.explainer, w.x[:, 1:], [0, 1]),
    "classes of each image of a data set": lambda w: w.explainer.explain(
        unbatched(w).batch(2), [0, 1]
    ),
    "too few names": lambda w: w.versus.plot(names=["ant"]),
    "too few pictures": lambda w: w.e.plot(w.x[:1]),
    "pictures of several sizes": lambda w: w.e.plot([w.x[0], w.x[1, 1:]]),
    "ragged masks": lambda w: metrics.iou([[0, 1], [1]], w.masks),
    "maps of another size": lambda w: metrics.mae(w.maps[:, 1:], w.masks),
    "a baseline of another size": lambda w: metrics.deletion(
        predict, w.x, w.maps, [0, 1], baseline=np.zeros(7)
    ),
    "a target that is not predicted": lambda w: metrics.deletion(predict, w.x, w.maps, [0, 9]),
    "a shift out of the picture": lambda w: metrics.shift(99, 0).apply(w.x),
    "jpeg of floats": lambda w: metrics.jpeg(50).apply(w.x),
    "a callback that saw nothing": lambda w: BacktrackCallback(w.x).plot(),
}


@pytest.mark.parametrize("call", LISTED.values(), ids=LISTED)
def test_what_was_said_badly(world, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(lambda: call(world))


def test_masks_of_several_classes_are_taken(world):
    masks = np.repeat(world.masks, 2, axis=0)
    assert of_callback(world, targets=[[0, 1], [1, 2]], masks=masks).on_mask.shape == (4,)
    assert of_callback(world, targets=np.eye(5)[[0, 1]], masks=world.masks).on_mask.shape == (2,)


def test_a_data_set_of_batches_is_watched(world):
    assert len(of_callback(world, images=unbatched(world).batch(2)).decisions) == 2
