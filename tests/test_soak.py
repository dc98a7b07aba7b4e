"""Explaining for long, and from several threads."""

import numpy as np
import pytest
from soak import FLAT, METHODS, growth, megabytes, soak, together

all_methods = pytest.mark.parametrize("method", METHODS)


@pytest.mark.slow
@all_methods
def test_memory_is_flat(method):
    held = soak(method, 200, 20)
    assert growth(held) < FLAT, held


@pytest.mark.slow
@all_methods
def test_eight_threads_get_what_one_gets(method):
    assert together(method, 8, 48) == 0


def test_what_counts_as_growth():
    assert growth([500.0] * 10) == 0
    assert growth(list(np.arange(10) * 10.0)) > FLAT


def test_what_is_held_is_seen():
    before = megabytes()
    kept = np.ones(5 * FLAT * 2**17)  # float64
    assert megabytes() > before + 4 * FLAT
    assert kept[-1]
