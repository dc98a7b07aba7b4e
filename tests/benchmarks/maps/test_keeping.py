"""Maps that were made before."""

import numpy as np

from benchmarks.maps.keeping import Keeper


def test_maps_are_kept(tmp_path, rng):
    images, targets, calls = rng.random((2, 4, 4, 3)), np.array([0, 1]), []

    def explain(x, targets):
        calls.append(len(x))
        return x[..., 0]

    for keeper in (Keeper("net", tmp_path), Keeper("net", tmp_path)):
        for _ in range(2):
            maps, seconds = keeper.maps("CAM", "pairs", images, targets, explain)
            np.testing.assert_allclose(maps, images[..., 0], rtol=1e-6)
            assert seconds >= 0
    assert calls == [2]
    # Of other images or classes it keeps nothing.
    for x, t in ((images[::-1] + 1, targets), (images, targets[::-1])):
        maps, _ = keeper.maps("CAM", "pairs", x, t, explain)
        np.testing.assert_allclose(maps, x[..., 0], rtol=1e-6)
    assert calls == [2, 2, 2]
