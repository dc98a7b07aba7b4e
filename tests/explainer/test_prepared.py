"""Images explained again and again."""

import pytest
from same import assert_same


@pytest.mark.parametrize(
    ("targets", "more"),
    [(None, {}), (2, {"side": "low"}), ([[0, 1]] * 7, {}), (1, {"versus": 2})],
)
def test_prepared_images_are_explained_as_before(explainer, x, targets, more):
    prepared = explainer.prepare(x, batch_size=3)
    assert_same(prepared.explain(targets, **more), explainer.explain(x, targets, **more))
    assert_same(prepared(targets, **more), prepared(targets, **more))


def test_preparing_is_bounded_and_knows_the_weights(explainer, x):
    prepared = explainer.prepare(x)
    # Input, convolution, pooled maps, the same flat, and classes.
    units = 8 * 7 * 3 + 6 * 5 * 4 + 2 * 3 * 2 * 4 + 4
    assert prepared.nbytes == 7 * 4 * units
    with pytest.raises(ValueError, match=r"take .* bytes.*Received: memory=1,000"):
        explainer.prepare(x, batch_size=1, memory=1000)
    weight = explainer.model.layers[1].kernel
    weight.assign(weight * 1.0)
    assert_same(prepared.explain(), explainer.explain(x))
    weight.assign(weight * 1.5)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"weights have changed.*Received"):
            prepared.explain()
