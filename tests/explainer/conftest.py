"""What a file of tests here is given that has no explainer or images of its own."""

import numpy as np
import pytest
from same import small_explainer

WAYS = [
    {},
    {"method": "viterbi"},
    {"method": "posterior"},
    {"method": "viterbi", "contrast": False},
]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: "-".join(map(str, way.values())))
def explainer(request):
    return small_explainer(**request.param)


@pytest.fixture
def x(rng):
    return rng.normal(size=(7, 8, 7, 3)).astype(np.float32)
