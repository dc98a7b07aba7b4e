"""Copies of an explanation: pickled, deep, and in files."""

import copy
import json
import pickle
from functools import cache

import numpy as np
import pytest
from networks import layers

from keras_backtrack import BacktrackExplainer, Explanation
from keras_backtrack.graph.compat import keras

NAMES = ["ant", "bee, honey bee", "cat", "dog"]


def network():
    image = keras.Input((24, 20, 3), name="photo")
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(6, 3, activation="relu", name="second")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, layers.Dense(4, activation="softmax", name="classes")(x))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return network()


@pytest.fixture(scope="module")
def of_photos(model):
    """By method an explainer, photos and what it says of them."""
    x = np.random.default_rng(0).random((3, 24, 20, 3), np.float32)

    @cache
    def explained(method="backtrack"):
        explainer = BacktrackExplainer(model, **SETTINGS[method])
        asked = {"labels": NAMES, "batch_size": 2}
        return explainer, x, explainer.explain(x, [[0, 1], [1, 2], [3, 0]], **asked)

    return explained


SETTINGS = {
    "backtrack": {},
    "viterbi": {"method": "viterbi", "contrast": False},
    "posterior": {"method": "posterior", "layers": ["pool"]},
}


@pytest.fixture(scope="module")
def others(of_photos):
    """Explanations of other questions."""
    explainer, x, _ = of_photos()
    image = keras.Input((6, 5, 3))
    everywhere = BacktrackExplainer(keras.Model(image, layers.Conv2D(2, 3)(image)))
    mask = np.random.default_rng(0).random((4, 3, 2)) < 0.5
    masks = everywhere.explain(x[:2, :6, :5], mask)
    assert masks.targets.tolist() == [-1, -1]
    versus = explainer.explain(x, 1, versus=[0, 2, 3])
    return versus, explainer.explain(x, side="low"), masks


@pytest.fixture(scope="module")
def of_two_inputs():
    keras.utils.set_random_seed(0)
    table, signal = keras.Input((5,), name="table"), keras.Input((9, 2), name="signal")
    x = layers.Flatten()(layers.Conv1D(3, 2, activation="relu")(signal))
    x = layers.Dense(1, activation="sigmoid")(layers.Concatenate()([table, x]))
    explainer = BacktrackExplainer(keras.Model([table, signal], x))
    rng = np.random.default_rng(0)
    e = explainer.explain([rng.random((3, 5)), rng.random((3, 9, 2))])
    assert e.labels == ("no", "yes")
    return e


def pickled(e, path=None):
    return pickle.loads(pickle.dumps(e))


def as_json(e, path):
    e.save(path / "e.json")
    return Explanation.load(path / "e.json")


def as_npz(e, path):
    e.save(path / "e.npz")
    return Explanation.load(str(path / "e.npz"))


def assert_alike(a, b):
    """Every public field, and every map and table made of them."""
    assert (len(a), a.input, a.inputs, a.shape, a.labels) == (
        *(len(b), b.input, b.inputs, b.shape, b.labels),
    )
    assert (a.method, a.contrast, a.fine_layer, a.layers, a.titles, repr(a)) == (
        *(b.method, b.contrast, b.fine_layer, b.layers, b.titles, repr(b)),
    )
    for name in ("targets", "versus", "scores", "side", "logits", "lost", "image_index"):
        assert getattr(a, name).dtype == getattr(b, name).dtype
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)
    np.testing.assert_array_equal(a.input_mass, b.input_mass)
    assert list(a.lost_at) == list(b.lost_at)
    for name, lost in a.lost_at.items():
        np.testing.assert_array_equal(lost, b.lost_at[name])
    for own, other in ((a.pixels, b.pixels), (a.mass, b.mass)):
        assert all(x.dtype == y.dtype for x, y in zip(own, other, strict=True))
        assert all(np.array_equal(x, y) for x, y in zip(own, other, strict=True))
    for layer in (*a.inputs, *a.layers):
        try:
            own = a.nodes(layer)
        except ValueError:
            with pytest.raises(ValueError, match="does not hold"):
                b.nodes(layer)
            continue
        other = b.nodes(layer)
        for x, y in ((own, other), (own.sign, other.sign), (own.mass, other.mass)):
            assert all(
                p.dtype == q.dtype and np.array_equal(p, q) for p, q in zip(x, y, strict=True)
            )
    assert [d.record() for d in a.decisions()] == [d.record() for d in b.decisions()]
    if len(a.shape) == 3:
        np.testing.assert_array_equal(a.attention(), b.attention())
        np.testing.assert_array_equal(a.saliency(), b.saliency())
        np.testing.assert_array_equal(a.grid(), b.grid())


WAYS = [pickled, lambda e, path: copy.deepcopy(e), as_json, as_npz]
each_way = pytest.mark.parametrize("way", WAYS, ids=["pickle", "deepcopy", "json", "npz"])


@each_way
@pytest.mark.parametrize("method", SETTINGS)
def test_copies_hold_the_same(of_photos, method, way, tmp_path):
    _, _, e = of_photos(method)
    assert_alike(e, way(e, tmp_path))
    part = e[[4, 1]]
    assert_alike(part, way(part, tmp_path))


@each_way
def test_copies_of_other_questions(others, way, tmp_path):
    for e in others:
        assert_alike(e, way(e, tmp_path))


@each_way
def test_copies_where_inputs_are_several_and_no_pictures(of_two_inputs, way, tmp_path):
    for name in of_two_inputs.inputs:
        e = of_two_inputs.of(name)
        assert_alike(e, way(e, tmp_path))


def test_a_pickle_holds_arrays_of_its_own_rows_alone(of_photos):
    _, _, e = of_photos()
    whole, one = pickle.dumps(e), pickle.dumps(e[0])
    assert len(one) < len(whole) / 2
    for name in (b"keras.src", b"tensorflow", b"FuncGraph"):
        assert name not in whole
    # The numbers of images stay what they were, and plots find theirs.
    last = pickle.loads(pickle.dumps(e[4:]))
    assert last.image_index.tolist() == [2, 2]
    for own, other in zip(last.pictures(), e[4:].pictures(), strict=True):
        np.testing.assert_array_equal(own, other)
    again = pickle.loads(pickle.dumps(last[1]))
    np.testing.assert_array_equal(again.pictures()[0], e[5].pictures()[0])
    assert len(last.plot(np.zeros((3, 24, 20, 3), np.uint8)).axes) == 10
    assert last._repr_png_() and last._repr_html_()
    assert len(pickle.loads(pickle.dumps(e[:0]))) == 0


def test_a_deep_copy_shares_the_network_but_no_array(of_photos, others):
    _, _, e = of_photos()
    other = copy.deepcopy(e)
    other.scores[:] = 0
    assert e.scores.all()
    assert copy.copy(e).titles == e.titles
    versus = others[0]
    assert_alike(copy.deepcopy(versus).sides[0], versus.sides[0])


def test_what_runs_the_network_again_asks_an_explainer(model, of_photos, others, tmp_path):
    explainer, x, _ = of_photos()
    e = others[0]
    for found in (pickled(e), as_json(e, tmp_path)):
        for view in (lambda f: f.sides, lambda f: f.way_down(10), lambda f: f.to_html(x)):
            with pytest.raises(ValueError, match=r"explained_by.*Received: an explanation without"):
                view(found)
    assert_alike(pickled(e).explained_by(explainer).sides[1], e.sides[1])
    loaded = as_json(e, tmp_path).explained_by(BacktrackExplainer(model), x)
    assert_alike(loaded.sides[0], e.sides[0])
    assert loaded.to_html() == e.to_html() and '"is_current":true' in loaded.to_html()
    # A data set's explanation has its pictures so, too.
    import tensorflow as tf

    data = explainer.explain(tf.data.Dataset.from_tensor_slices(x).batch(2), 1, versus=0)
    assert_alike(data.explained_by(explainer, x).sides[0], e.sides[0])


def test_an_explainer_of_something_else_is_refused(model, of_photos):
    explainer, x, e = of_photos()
    plain = BacktrackExplainer(model, contrast=False)
    with pytest.raises(ValueError, match=r"method='backtrack' and contrast=0.25.*contrast=None"):
        e.explained_by(plain)
    image = keras.Input((24, 20, 3))
    other = BacktrackExplainer(keras.Model(image, layers.Dense(4)(layers.Flatten()(image))))
    with pytest.raises(ValueError, match=r"of the network that was explained.*Received: "):
        e.explained_by(other)
    with pytest.raises(TypeError, match=r"must be a BacktrackExplainer\. Received: 3"):
        e.explained_by(3)
    with pytest.raises(ValueError, match=r"the 3 rows that were explained.*Received: 2"):
        e.explained_by(explainer, x[:2])
    with pytest.raises(ValueError, match=r"must have the shape.*Received: "):
        e.explained_by(explainer, x[:, :5])


def test_an_explainer_is_not_copied(of_photos):
    explainer, x, _ = of_photos()
    for each in (explainer, explainer.prepare(x)):
        for copied in (pickle.dumps, copy.deepcopy, copy.copy):
            with pytest.raises(TypeError, match=r"neither copied nor pickled.*Received: "):
                copied(each)


def test_what_else_holds_explanations_is_pickled(model, of_photos):
    from keras_backtrack import explain_mistakes

    explainer, x, e = of_photos()
    wrong = explain_mistakes(explainer, x, np.argmin(np.asarray(model(x)), axis=1))
    assert_alike(pickled(wrong).explanation, wrong.explanation)
    found = e.boxes(labels=NAMES)
    again = pickled(found)
    assert again == found and again.labels == found.labels
    assert again.to_coco() == found.to_coco() and len(again.plot().axes) == len(found.plot().axes)


def damaged(content, rng):
    """Files that differ from a good one in a few bytes, or end early."""
    for _ in range(60):
        wrong = bytearray(content)
        for place in rng.integers(0, len(wrong), 3):
            wrong[place] = rng.integers(0, 256)
        yield bytes(wrong)
    for end in rng.integers(0, len(content), 20):
        yield content[:end]


@pytest.mark.parametrize("end", ["json", "npz"])
def test_damaged_files(of_photos, tmp_path, rng, end):
    _, _, e = of_photos()
    path = tmp_path / f"e.{end}"
    e[:2].save(path)
    for content in damaged(path.read_bytes(), rng):
        path.write_bytes(content)
        try:
            found = Explanation.load(path)
        except ValueError as error:
            assert "Received: " in str(error)
        else:
            found.decisions(), repr(found)


def test_files_that_are_none(of_photos, tmp_path):
    _, _, e = of_photos()
    e.save(tmp_path / "e.json")
    good = json.loads((tmp_path / "e.json").read_text())
    first = good["decisions"][0]
    nodes = good["nodes"]["conv"]
    wrong = [
        [first],  # as files were before they could be read
        {**good, "version": "1"},
        {**good, "decisions": []},
        {**good, "decisions": good["decisions"][1:]},
        {**good, "input": "nobody"},
        {**good, "method": "magic"},
        {**good, "inputs": 0},
        {**good, "fine": {"photo": "nobody"}},
        {**good, "nodes": {"conv": {**nodes, "unit": [-1, *nodes["unit"][1:]]}}},
        {**good, "nodes": {"conv": {**nodes, "unit": [10**9, *nodes["unit"][1:]]}}},
        {**good, "nodes": {"conv": {**nodes, "sign": nodes["sign"][1:]}}},
        {**good, "nodes": {"conv": {**nodes, "count": [[1], 2]}}},
        {**good, "lost_at": {"conv": [1.0]}},
        {name: value for name, value in good.items() if name != "meaning"},
        None,
    ]
    for i, content in enumerate(wrong):
        (tmp_path / f"{i}.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match=r"is damaged \(.*Received: "):
            Explanation.load(tmp_path / f"{i}.json")
    (tmp_path / "new.json").write_text(json.dumps({**good, "version": 2}))
    with pytest.raises(ValueError, match=r"of version 2, which a newer.*Received: "):
        Explanation.load(tmp_path / "new.json")
    np.savez(tmp_path / "other.npz", pixels=np.zeros(3))
    with pytest.raises(ValueError, match=r"is damaged \(KeyError.*Received: "):
        Explanation.load(tmp_path / "other.npz")
    np.savez(tmp_path / "code.npz", about=np.array([print], object))
    with pytest.raises(ValueError, match=r"is damaged \(.*Received: "):
        Explanation.load(tmp_path / "code.npz")
    with pytest.raises(ValueError, match=r"read from \.json and \.npz\. Received: "):
        Explanation.load(tmp_path / "e.png")
    with pytest.raises(FileNotFoundError):
        Explanation.load(tmp_path / "nothing.json")
    with pytest.raises(TypeError, match=r"`path` must be the name of a file\. Received: 3"):
        Explanation.load(3)
    with pytest.raises(ValueError, match=r"At least one decision is saved\. Received: "):
        e[:0].save(tmp_path / "none.json")
