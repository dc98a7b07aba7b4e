"""The best of some contributions, chosen in whichever way is fastest for how many are wanted."""

import numpy as np
import pytest

from keras_backtrack.propagation.kernels.choosing import choose


def chosen(values, limit):
    place, kept = np.empty(limit, np.int64), np.empty(limit, np.float32)
    count = choose(values, limit, place, kept)
    return place[:count].tolist(), kept[:count].tolist()


def best_by_loop(values, limit):
    ranked = sorted((-value, j) for j, value in enumerate(values.tolist()) if value > 0)[:limit]
    if limit >= len(values):
        ranked.sort(key=lambda pair: pair[1])
    return [j for _, j in ranked], [-value for value, _ in ranked]


@pytest.mark.parametrize("limit", [1, 2, 20, 32, 33, 100, 699, 700, 900])
@pytest.mark.parametrize("kind", ["spread", "ties", "few above 0", "none above 0", "in order"])
def test_the_best_and_of_equals_the_first(limit, kind, rng):
    values = rng.normal(size=700).astype(np.float32)
    if kind == "ties":
        values = np.round(values * 2)
    elif kind == "few above 0":
        values = np.where(np.arange(700) % 40 == 3, values, -abs(values))
    elif kind == "none above 0":
        values = -abs(values)
    elif kind == "in order":
        values = np.sort(values)
    values = values.astype(np.float32)
    assert chosen(values, limit) == best_by_loop(values, limit)


@pytest.mark.parametrize("limit", [1, 20, 100, 900])
def test_no_number_is_never_chosen_in_silence(limit, rng):
    values = rng.normal(size=700).astype(np.float32)
    values[311] = np.nan
    assert np.isnan(chosen(values, limit)[1]).any()
