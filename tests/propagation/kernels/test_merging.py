"""Nodes that coincide become one."""

import numpy as np
import pytest

from keras_backtrack.propagation.kernels import NodeArrays, merge

SIGNS = np.float32([1, -1])


@pytest.mark.parametrize("places", [4, 300, 5000])  # for few a table is filled, many are sorted
def test_merging_adds_masses_up_in_order(places, rng):
    def nodes(count):
        mass = rng.random(count).astype(np.float32)
        return NodeArrays(rng.integers(7, 7 + places, count), rng.choice(SIGNS, count), mass)

    parts = [nodes(count) for count in (200, 0, 100)]
    expected = {}
    for index, sign, mass in zip(*map(np.concatenate, zip(*parts, strict=True)), strict=True):
        key = index, -sign
        expected[key] = expected[key] + mass if key in expected else mass
    merged = merge(parts)
    assert list(zip(merged.index, -merged.sign, strict=True)) == sorted(expected)
    assert merged.mass.tolist() == [expected[key] for key in sorted(expected)]
    assert len(merge([nodes(0)]).index) == 0
