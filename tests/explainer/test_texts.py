"""Models of raw texts and raw columns: decisions end at words and at columns."""

import itertools
import pickle

import numpy as np
import pytest
import tensorflow as tf
from networks import assert_equals_reference, layers

from keras_backtrack import (
    BacktrackExplainer,
    Explanation,
    UnsupportedModelError,
    explain_mistakes,
)
from keras_backtrack.graph.compat import KERAS_3, keras
from keras_backtrack.propagation.limits import Limits
from keras_backtrack.rules import read_model

WORDS = ["good", "fine", "bad"]
PLAIN = {"method": "posterior", "contrast": False}
WAYS = list(itertools.product(["backtrack", "viterbi", "posterior"], [None, 0.25]))


def counting(mode, shape=(1,)):
    """Good counts 3, fine 1 and bad -2."""
    text = keras.Input(shape, dtype="string", name="text")
    more = {"idf_weights": [1.0, 2.0, 1.0]} if mode == "tf_idf" else {}
    x = layers.TextVectorization(output_mode=mode, vocabulary=WORDS, **more)(text)
    if mode != "int":
        model = keras.Model(text, layers.Dense(1, name="score")(x))
        weights = np.float32([[0], [3], [1], [-2]])
        model.layers[-1].set_weights([weights, np.zeros(1, np.float32)])
        return model
    embedding = layers.Embedding(5, 1)
    model = keras.Model(text, layers.GlobalAveragePooling1D()(embedding(x)))
    embedding.set_weights([np.float32([[0], [0], [3], [1], [-2]])])
    return model


@pytest.mark.parametrize(
    ("mode", "shares"),
    [
        ("int", [3 / 7, 1 / 7, 0, 3 / 7, 0]),
        ("multi_hot", [3 / 8, 1 / 4, 0, 3 / 8, 0]),
        pytest.param("count", [3 / 7, 1 / 7, 0, 3 / 7, 0], marks=pytest.mark.slow),
        ("tf_idf", [3 / 8, 2 / 8, 0, 3 / 8, 0]),
    ],
)
def test_words_that_count(mode, shares):
    model = counting(mode, () if mode == "count" else (1,))
    explainer = BacktrackExplainer(model, **PLAIN)
    e = explainer.explain(["Good, fine: bad good film!", "fine"], side="high")
    found = dict(enumerate(e.evidence()[0]))
    assert [name for name, _ in found.values()] == ["good", "fine", "bad", "good", "film"]
    np.testing.assert_allclose([mass for _, mass in found.values()], shares, atol=1e-6)
    assert e.evidence()[1] == [("fine", pytest.approx(1))]
    assert "good 0.43" in repr(e) or "good 0.38" in repr(e)
    assert e.inputs == ["text"] and e.pixels[0].tolist() == [[0], [1], [3]]
    low = explainer.explain("good but bad, bad", side="low")
    assert low.evidence() == [[("good", 0), ("but", 0), ("bad", 0.5), ("bad", 0.5)]]
    if mode != "int":
        nothing = explainer.explain(["", "?!"])
        assert nothing.evidence() == [[], []] and nothing.lost.tolist() == [1, 1]


def table():
    """Paris counts 3 for the first class, kind 3 counts 1, and the deviation of age a half."""
    age, city, kind = (
        keras.Input((1,), dtype=dtype, name=name)
        for name, dtype in (("age", "float32"), ("city", "string"), ("kind", "int64"))
    )
    parts = [
        layers.Normalization(mean=40.0, variance=100.0)(age),
        layers.Discretization(bin_boundaries=[30.0, 50.0], output_mode="one_hot")(age),
        layers.StringLookup(vocabulary=["Paris", "Rome"], output_mode="one_hot")(city),
        layers.CategoryEncoding(3, output_mode="multi_hot")(
            layers.IntegerLookup(vocabulary=[3, 5])(kind)
        ),
    ]
    inputs = {"age": age, "city": city, "kind": kind}
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(parts)))
    kernel = np.zeros((10, 2), np.float32)
    kernel[[0, 5, 8], 0] = 0.5, 3, 1
    model.layers[-1].set_weights([kernel, np.zeros(2, np.float32)])
    return model


ROWS = {"age": [60.0, 20.0, 40], "city": ["Paris", "Rome", "Paris"], "kind": [3, 3, 5]}


@pytest.mark.parametrize("contrast", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_columns_that_count(contrast):
    model = table()
    e = BacktrackExplainer(model, method="posterior", contrast=contrast).explain(ROWS, 0)
    assert [name for name, _ in e.evidence()[0]] == ["age", "city", "kind"]
    shares = np.array([[mass for _, mass in row] for row in e.evidence()])
    np.testing.assert_allclose(shares.sum(1) + e.lost, 1, atol=1e-5)
    np.testing.assert_allclose(shares[0], [0.2, 0.6, 0.2], atol=1e-6)
    np.testing.assert_allclose(shares[2], [0, 1, 0], atol=1e-6)
    assert repr(e).splitlines()[3].split(", ")[1:] == ["score 3", "city 1", "lost mass 0"]
    columns = {name: tf.constant(values)[:, None] for name, values in ROWS.items()}
    columns["age"] = tf.cast(columns["age"], tf.float32)
    np.testing.assert_allclose(e.scores, np.array(model(columns))[:, 0], rtol=1e-5)


@pytest.fixture(scope="module")
def trained():
    """A class for each of three words; what else there is in a text is noise."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    noise = [f"w{i}" for i in range(40)]

    def texts(count):
        classes = rng.integers(0, 3, count)
        found = []
        for number in classes:
            words = rng.choice(noise, rng.integers(6, 12)).tolist()
            words.insert(rng.integers(0, len(words) + 1), ["red", "green", "blue"][number])
            found.append(" ".join(words).capitalize() + ".")
        return found, classes

    x, y = texts(1500)
    vectorize = layers.TextVectorization(output_sequence_length=12)
    vectorize.adapt(x)
    text = keras.Input((1,), dtype="string")
    h = layers.Embedding(50, 16, mask_zero=True)(vectorize(text))
    h = layers.GlobalMaxPooling1D()(layers.Conv1D(16, 3, padding="same", activation="relu")(h))
    model = keras.Model(text, layers.Dense(3, activation="softmax")(h))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(tf.constant(x)[:, None], y, epochs=4, batch_size=32, verbose=0)
    return model, *texts(100)


@pytest.fixture(scope="module")
def asked(trained):
    explainer = BacktrackExplainer(trained[0])
    return explainer, explainer.explain(trained[1], labels=["red", "green", "blue"])


def test_the_word_that_was_planted(trained, asked):
    model, texts, classes = trained
    _, e = asked
    answers = model.predict(tf.constant(texts)[:, None], verbose=0)
    assert (answers.argmax(1) == classes).mean() > 0.97
    np.testing.assert_allclose(e.scores, answers.max(1), rtol=1e-4)
    right = 0
    for text, label, evidence, lost in zip(texts, classes, e.evidence(), e.lost, strict=True):
        assert [word for word, _ in evidence][:6] == text.lower().strip(".").split()[:6]
        assert sum(mass for _, mass in evidence) + lost == pytest.approx(1, abs=1e-4)
        heaviest, _ = max(evidence, key=lambda pair: pair[1])
        right += heaviest == ["red", "green", "blue"][label]
    assert right >= 95


def assert_equal(found, expected):
    """Words, and masses but for rounding."""
    for one, other in zip(found, expected, strict=True):
        assert [word for word, _ in one] == [word for word, _ in other]
        assert [mass for _, mass in one] == pytest.approx([mass for _, mass in other], abs=1e-6)


@pytest.mark.parametrize(
    "given",
    [
        lambda texts: np.array(texts),
        lambda texts: np.array(texts, object)[:, None],
        lambda texts: [text.encode() for text in texts],
        tf.constant,
        lambda texts: tf.data.Dataset.from_tensor_slices(texts).batch(2),
    ],
    ids=["str", "objects", "bytes", "tensor", "data set"],
)
def test_what_texts_may_be(trained, asked, given):
    explainer, e = asked
    _, texts, _ = trained
    assert_equal(explainer.explain(given(texts[:3])).evidence(), e[:3].evidence())


def test_a_single_text(trained, asked):
    explainer, e = asked
    assert_equal(explainer.explain(trained[1][0]).evidence(), e[0].evidence())


def test_copies_have_the_words(trained, asked, tmp_path):
    explainer, e = asked
    _, texts, _ = trained
    some = e[2:5]
    assert pickle.loads(pickle.dumps(some)).evidence() == some.evidence()
    for end in ("json", "npz"):
        some.save(tmp_path / f"e.{end}")
        copy = Explanation.load(tmp_path / f"e.{end}")
        assert copy.evidence() == some.evidence() and repr(copy) == repr(some)
        assert copy.explained_by(explainer, texts).evidence() == some.evidence()
    assert texts[3].lower().split()[0] in (tmp_path / "e.json").read_text()


def test_two_classes_of_a_text(trained, asked):
    explainer, _ = asked
    _, texts, classes = trained
    other = (classes[:2] + 1) % 3
    e = explainer.explain(texts[:2], classes[:2], versus=other)
    assert [len(row) for row in e.sides[0].evidence()] == [len(row) for row in e.evidence()]
    found = explain_mistakes(explainer, texts[:2], other)
    assert found.index.tolist() == [0, 1] and found.explanation.evidence() == e.evidence()


def test_words_of_numbers(asked):
    explainer, _ = asked
    embedding, *others = explainer.model.layers[2:]
    ids = keras.Input((12,), dtype="int64", name="ids")
    x = embedding(ids)
    for layer in others:
        x = layer(x)
    words = explainer.model.layers[1].get_vocabulary()
    numbers = np.array([[words.index("red"), 9, words.index("w7"), 1, *[0] * 8]])
    found = BacktrackExplainer(keras.Model(ids, x), vocabulary={"ids": words}).explain(numbers)
    assert [word for word, _ in found.evidence()[0]][:4] == ["red", words[9], "w7", "[UNK]"]
    assert max(found.evidence()[0], key=lambda pair: pair[1])[0] == "red"


def test_names_of_a_vector():
    row = keras.Input((3,), name="row")
    model = keras.Model(row, layers.Dense(1, kernel_initializer="ones")(row))
    e = BacktrackExplainer(model, **PLAIN).explain([1, 2, 0])
    assert e.evidence() == [
        [("row[0]", pytest.approx(1 / 3)), ("row[1]", pytest.approx(2 / 3)), ("row[2]", 0)]
    ]


@pytest.fixture(scope="module")
def counter():
    return BacktrackExplainer(counting("int"), **PLAIN)


def lowered():
    text = keras.Input((1,), dtype="string")
    lower = layers.Lambda(lambda x: tf.strings.lower(x))
    if KERAS_3:
        lower = layers.Lambda(lambda x: tf.strings.lower(x), output_shape=(1,))
    vectorize = layers.TextVectorization(
        standardize=None, vocabulary=WORDS, output_mode="count", ngrams=2
    )
    return keras.Model(text, layers.Dense(3)(vectorize(lower(text))))


class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.vectorize = layers.TextVectorization(vocabulary=WORDS)
        self.embedding, self.pool = layers.Embedding(5, 4), layers.GlobalMaxPooling1D()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(self.pool(self.embedding(self.vectorize(x))))


def subclassed():
    model = Classifier()
    model(tf.constant([["good film"]]))
    return model


def read_twice():
    text = keras.Input((), dtype="string")
    words = layers.TextVectorization(vocabulary=WORDS)(text)
    letters = layers.TextVectorization(split="character", output_mode="count", vocabulary=["a"])
    parts = [layers.GlobalMaxPooling1D()(layers.Embedding(5, 4)(words)), letters(text)]
    return keras.Model(text, layers.Dense(3)(layers.Concatenate()(parts)))


def recurrent():
    text = keras.Input((1,), dtype="string")
    x = layers.Embedding(5, 4, mask_zero=True)(layers.TextVectorization(vocabulary=WORDS)(text))
    return keras.Model(text, layers.Dense(3)(layers.Bidirectional(layers.GRU(4))(x)))


def attending():
    text = keras.Input((), dtype="string")
    vectorize = layers.TextVectorization(vocabulary=WORDS, output_sequence_length=6)
    x = layers.Embedding(5, 4)(vectorize(text))
    x = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 2)(x, x))
    return keras.Model(text, layers.Dense(3)(x))


WHOLE = ["good", "bad", "film"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lowered, [*WHOLE, "good bad", "bad film"]),
        (subclassed, WHOLE),
        (read_twice, [*WHOLE, *"good bad film"]),
        pytest.param(recurrent, WHOLE, marks=pytest.mark.slow),
        pytest.param(attending, WHOLE, marks=pytest.mark.slow),
    ],
)
def test_models_of_texts(make, words):
    keras.utils.set_random_seed(4)
    model, texts = make(), ["good bad film", "film"]
    e = BacktrackExplainer(model, method="posterior").explain(texts, 1)
    has_no_axis = make in (attending, read_twice)
    given = tf.constant(texts) if has_no_axis else tf.constant(texts)[:, None]
    np.testing.assert_allclose(e.scores, np.array(model(given))[:, 1], rtol=1e-5)
    np.testing.assert_allclose(e.input_mass.sum(1) + e.lost, 1, atol=1e-5)
    names, masses = zip(*e.evidence()[0], strict=True)
    assert [name for name in names if name != "[padding]"] == words
    assert sum(masses) + e.lost[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((2, 1)), TypeError, r"texts for the input 'text'.*Received: float64"),
        (["a", float("nan")], TypeError, r"texts for the input 'text'.*Received: nan among list"),
        (None, TypeError, r"must hold texts.*Received: None"),
        ([], ValueError, r"at least one text.*shape \(batch, 1\).*Received: shape \(0,\)"),
        ([["a", "b"]], ValueError, r"shape \(batch, 1\).*Received: shape \(1, 2\)"),
        ([["a"], ["b", "c"]], TypeError, r"must hold texts.*Received: \['a'\] among list"),
        (keras.Input((1,), dtype="string"), TypeError, "no part of a model.*Received"),
        (["", "?!"], ValueError, r"must be a word.*Received: \[b'', b'\?!'\] for 'text'"),
    ],
)
def test_what_texts_are_not(counter, x, error, message):
    with pytest.raises(error, match=message):
        counter.explain(x)


def test_a_text_without_a_word_beside_another():
    e = BacktrackExplainer(counting("int"), **PLAIN).explain(["", "good"], side="high")
    assert e.evidence() == [[], [("good", pytest.approx(1))]]


def test_what_cannot_be_asked(counter):
    model = counter.model
    with pytest.raises(UnsupportedModelError, match=r"output already. Received: 'text_vector"):
        BacktrackExplainer(keras.Model(model.input, model.layers[1].output))
    with pytest.raises(ValueError, match=r"`vocabulary` must.*Received: \['a'\]"):
        BacktrackExplainer(model, vocabulary=["a"])
    numbers = keras.Input((3,))
    with pytest.raises(TypeError, match="real numbers.*Received: dtype <U1"):
        BacktrackExplainer(keras.Model(numbers, layers.Dense(1)(numbers))).explain(["a"])


def encodings():
    """Every layer that encodes numbers."""
    tokens = keras.Input((5,), name="tokens")
    age = keras.Input((2,), name="age")
    kind, other = (keras.Input((1,), dtype="int64", name=name) for name in ("kind", "other"))
    kinds = keras.Input((5,), dtype="int64", name="kinds")
    weights = {"idf_weights": [1.0, 0.5, 2.0]}
    parts = [
        layers.IntegerLookup(vocabulary=[2, 3, 4], output_mode="multi_hot")(kinds),
        layers.IntegerLookup(vocabulary=[2, 3, 4], output_mode="tf_idf", **weights)(kinds),
        layers.CategoryEncoding(6, output_mode="count")(tokens),
        layers.Discretization(bin_boundaries=[-0.5, 0.5], output_mode="count")(age),
        layers.IntegerLookup(vocabulary=[1, 2], output_mode="one_hot")(kind),
        layers.Hashing(3, output_mode="one_hot")(other),
        layers.HashedCrossing(5, output_mode="one_hot")((kind, other)),
    ]
    if KERAS_3:
        parts.append(layers.Flatten()(layers.CategoryEncoding(6, output_mode="one_hot")(tokens)))
    x = layers.Dense(4, activation="relu")(layers.Concatenate()(parts))
    return keras.Model([tokens, kinds, age, kind, other], layers.Dense(3)(x))


@pytest.mark.parametrize(
    "ways",
    [
        [("posterior", 0.25)],
        pytest.param(WAYS, marks=pytest.mark.slow),
    ],
    ids=["some", "all"],
)
def test_encodings_are_followed_as_the_plain_loops_do(ways, rng):
    keras.utils.set_random_seed(2)
    model = encodings()
    x = [rng.integers(0, 6, (2, 5)).astype("float32"), rng.integers(0, 6, (2, 5))]
    x.append(rng.normal(size=(2, 2)).astype("float32"))
    x += [rng.integers(0, 4, (2, 1)) for _ in range(2)]
    for method, bar in ways:
        limits = None if method == "posterior" else Limits(3, 1, 1, False)
        versus = np.array([[2], [0]]) if bar is None else None
        targets = np.array([[0], [1]])
        assert_equals_reference(model, x, targets, limits, versus, method=method, contrast=bar)


def test_bags_of_texts_are_followed_as_the_plain_loops_do():
    model = counting("count")
    (tokens,) = read_model(model).before([np.array([["bad good film good"]], object)]).x
    assert_equals_reference(model, tokens, np.zeros((1, 1), int), None, method="posterior")


def test_columns_without_an_axis_and_crossings():
    """As of recommenders; a crossing of a text is a column of its own, other ones are of both."""
    user, item = (keras.Input((), dtype="string", name=name) for name in ("user", "item"))
    kind = keras.Input((), dtype="int64", name="kind")
    lookup = layers.StringLookup(vocabulary=["a", "b"])
    vectors = [layers.Embedding(3, 4)(lookup(one)) for one in (user, item)]
    crossed = layers.HashedCrossing(4, name="both")((user, kind))
    vectors.append(layers.Embedding(4, 2)(crossed))
    model = keras.Model([user, item, kind], layers.Dense(2)(layers.Concatenate()(vectors)))
    given = [["a", "b", "c"], ["b", "b", "a"], [1, 2, 3]]
    e = BacktrackExplainer(model).explain(given, 0)
    assert e.inputs == ["user", "item", "both"]
    answers = model([tf.constant(given[0]), tf.constant(given[1]), tf.constant(given[2])])
    np.testing.assert_allclose(e.scores, np.array(answers)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(e.input_mass.sum(1) + e.lost, 1, atol=1e-5)


def test_a_layer_that_is_adapted_anew():
    number = keras.Input((1,), dtype="int64")
    lookup = layers.IntegerLookup(max_tokens=4, output_mode="one_hot", pad_to_max_tokens=True)
    lookup.adapt(np.array([[1], [2], [3]]))
    model = keras.Model(number, layers.Dense(2)(lookup(number)))
    explainer = BacktrackExplainer(model)
    for seen in ([1, 2, 3], [7, 8, 9]):
        lookup.adapt(np.array(seen)[:, None])
        e = explainer.explain([1, 7], 0)
        np.testing.assert_allclose(e.scores, np.array(model(np.array([[1], [7]])))[:, 0])


@pytest.mark.slow
def test_a_feature_space(rng):
    space = keras.utils.FeatureSpace
    features = {
        "age": space.float_normalized(),
        "wage": space.float_discretized(num_bins=4),
        "city": space.string_categorical(),
        "kind": space.integer_categorical(),
        "street": space.string_hashed(num_bins=4),
    }
    crosses = [space.cross(("city", "kind"), crossing_dim=5)]
    space = space(features, crosses=crosses, output_mode="concat")
    data = {
        "age": rng.normal(size=64).astype("float32"),
        "wage": rng.normal(size=64).astype("float32"),
        "city": rng.choice(["Paris", "Rome"], 64),
        "kind": rng.integers(0, 3, 64),
        "street": rng.choice(["a", "b", "c"], 64),
    }
    space.adapt(tf.data.Dataset.from_tensor_slices(data))
    outputs = layers.Dense(2)(space.get_encoded_features())
    model = keras.Model(space.get_inputs(), outputs)
    e = BacktrackExplainer(model).explain(data, 0)
    assert sorted(name for name, _ in e.evidence()[0]) == sorted(features)
    columns = {name: tf.constant(values)[:, None] for name, values in data.items()}
    np.testing.assert_allclose(e.scores, model.predict(columns, verbose=0)[:, 0], rtol=1e-4)
