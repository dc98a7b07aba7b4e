"""What speaks for a decision, less what speaks against it."""

import numpy as np
import pytest
from networks import assert_equals_reference, images, layers, randomise_all
from sequence_networks import mean

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


def crosses():
    """Upright lines on the left, level ones on the right; every upper feature sees both."""
    image = keras.Input((24, 24, 1))
    x = layers.Conv2D(2, 3, padding="same", activation="relu", use_bias=False)(image)
    x = layers.Conv2D(2, 1, activation="relu", use_bias=False)(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, use_bias=False)(x))
    upright = np.array([[-1, 2, -1]] * 3, np.float32)
    model.layers[1].set_weights([np.stack([upright, upright.T], axis=-1)[:, :, None]])
    model.layers[2].set_weights([np.array([[[[1.0, 0.8], [0.8, 1.0]]]], np.float32)])
    model.layers[-1].set_weights([np.array([[1.0, -1.0], [-1.0, 1.0]], np.float32)])
    photo = np.zeros((24, 24, 1), np.float32)
    photo[4:20, 5], photo[12, 13:21] = 1, 1
    photo[4:12, 15] = 1
    return model, photo


def test_a_class_is_where_more_speaks_for_it_than_against_it():
    model, photo = crosses()
    shares = {}
    for contrast in (False, 1):
        explainer = BacktrackExplainer(model, method="posterior", contrast=contrast)
        e = explainer.explain(np.stack([photo] * 2), [0, 1])
        for row in range(2):
            rows, columns = e.pixels[row][:, 0], e.pixels[row][:, 1]
            level = (rows == 12) & (columns > 12)
            shares[contrast, row] = e.mass[row][level].sum() / e.mass[row].sum()
            np.testing.assert_allclose(e.mass[row].sum() + e.lost[row], 1, atol=1e-5)
    assert shares[False, 1] - shares[False, 0] < 0.2
    assert shares[1, 1] == 1 and shares[1, 0] == 0


def heads():
    """Outputs that a question goes through before it comes to a sum over different units."""
    flat, pooled = layers.Flatten, layers.GlobalAveragePooling2D
    convolution = layers.Conv2D
    return {
        "classes' own maps": lambda x: layers.Softmax()(
            pooled()(convolution(5, 2, activation="relu")(x))
        ),
        "classes in competition": lambda x: layers.Dense(5, activation="softmax")(pooled()(x)),
        "two heads added": lambda x: layers.Add()(
            [layers.Dense(5)(flat()(x)), pooled()(convolution(5, 2)(x))]
        ),
        "two heads, one taken off": lambda x: layers.Subtract()(
            [layers.Dense(5)(flat()(x)), layers.Dense(5)(layers.GlobalMaxPooling2D()(x))]
        ),
        "turned round": lambda x: layers.BatchNormalization()(layers.Dense(5)(flat()(x))),
        "a recurrent layer": lambda x: layers.GRU(5)(layers.Reshape((-1, 8))(x)),
        "a gate": lambda x: layers.Multiply()(
            [layers.Dense(5)(flat()(x)), layers.Dense(5, activation="sigmoid")(flat()(x))]
        ),
        "the largest of two": lambda x: layers.Maximum()(
            [layers.Dense(5)(flat()(x)), layers.Dense(5)(layers.GlobalMaxPooling2D()(x))]
        ),
        "a mean and a sum": lambda x: layers.Add()(
            [mean(convolution(5, 2)(x), axis=(1, 2)), layers.Dense(5)(flat()(x))]
        ),
        "a mean of two and a third": lambda x: layers.Add()(
            [
                layers.Average()([layers.Dense(5)(flat()(x)) for _ in range(2)]),
                layers.Dense(5)(layers.GlobalMaxPooling2D()(x)),
            ]
        ),
    }


@pytest.mark.parametrize("bar", [0.25, pytest.param(1.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("head", heads())
def test_heads(head, bar, plain_graphs):
    image = keras.Input((6, 5, 3))
    x = layers.Conv2D(4, 2, activation="relu", padding="same")(image)
    model = keras.Model(image, heads()[head](x))
    randomise_all(model, 3, exact=False)
    x = images(model, 2, 4, exact=False)
    targets = np.array([[0, 1], [2, 3]])
    assert_equals_reference(model, x, targets, None, method="posterior", contrast=bar)
