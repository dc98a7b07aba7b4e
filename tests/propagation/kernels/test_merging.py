"""Nodes that coincide become one."""

import numpy as np
import pytest

from keras_backtrack.propagation.kernels import NodeArrays, heaviest, merge

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


def test_heaviest_nodes_have_all_of_the_mass():
    """Of two explanations, with ties."""
    index = np.array([3, 1, 1, 2, 12, 10])
    sign = np.float32([1, -1, 1, 1, 1, -1])
    mass = np.float32([0.25, 0.25, 0.25, 0.125, 0.5, 0.25])
    kept = heaviest(NodeArrays(index, sign, mass), 10, 2)
    assert kept.index.tolist() == [1, 1, 10, 12] and kept.sign.tolist() == [1, -1, -1, 1]
    np.testing.assert_allclose(kept.mass, [0.4375, 0.4375, 0.25, 0.5])
    assert kept.mass.dtype == np.float32
    few = heaviest(NodeArrays(index, sign, mass), 10, 100)
    assert few.index.tolist() == [1, 1, 2, 3, 10, 12]
    np.testing.assert_allclose(few.mass, [0.25, 0.25, 0.125, 0.25, 0.25, 0.5])
    assert len(heaviest(NodeArrays(index[:0], sign[:0], mass[:0]), 10, 2).index) == 0
