"""Classes to explain: every way to give them, and what is wrong."""

import numpy as np
import pytest
from small import explainer_of_four


@pytest.fixture(scope="module")
def explainer():
    return explainer_of_four()


X = np.zeros((2, 6, 5, 3), np.float32)


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (4, ValueError, "from 0 to 3. Received: 4"),
        (-1, ValueError, "from 0 to 3. Received: -1"),
        ([0, 1, 2], ValueError, r"Received: shape \(3,\)"),
        ([[0, 0], [1, 2]], ValueError, "must differ"),
        ([[0, 1], [1]], ValueError, "same number K"),
        ("cat", TypeError, "Received: 'cat'"),
        (1.5, TypeError, "Received: 1.5"),
        (np.eye(4)[[0, 1]] * 0.5, ValueError, "single 1 in each row"),
        (np.eye(3)[[0, 1]], ValueError, r"Received: shape \(2, 3\)"),
    ],
)
def test_targets(explainer, targets, error, message):
    with pytest.raises(error, match=message):
        explainer.explain(X, targets)


@pytest.mark.parametrize("targets", [[2, 1], np.eye(4)[[2, 1]], np.eye(4, dtype=int)[[2, 1]]])
def test_the_ways_to_give_targets(explainer, targets):
    np.testing.assert_array_equal(explainer.explain(X, targets).targets, [2, 1])
