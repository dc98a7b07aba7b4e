"""Explaining for long, and from several threads."""

from pathlib import Path

import numpy as np
import pytest
from processes import python
from soak import FLAT, METHODS, growth, megabytes, together

all_methods = pytest.mark.parametrize("method", METHODS)


@pytest.mark.slow
@all_methods
def test_memory_is_flat(method):
    """In a process of its own: one that has run a hundred networks goes on growing a while."""
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r}); from soak import growth, soak"
    output = python(f"{code}; print(growth(soak({method!r}, 200, 20)))")
    assert float(output.split()[-1]) < FLAT


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
