"""Each target of `make fuzz` on what it begins with, and on some of that damaged."""

from collections import OrderedDict

import numpy as np
import pytest
from checkpoints import checkpoint

from keras_backtrack.models.torch_checkpoint import read_checkpoint


def damaged(data: bytes, rng: np.random.Generator) -> list[bytes]:
    """A file cut short, with bytes changed, and with something in between."""
    if not data:
        return []
    cut = data[: rng.integers(len(data))]
    flipped = bytearray(data)
    for place in rng.integers(len(data), size=3):
        flipped[place] = rng.integers(256)
    return [cut, bytes(flipped), cut + rng.bytes(9) + data[len(cut) :]]


@pytest.fixture
def targets():
    pytest.importorskip("pyarrow")
    from targets import TARGETS

    return TARGETS


@pytest.mark.parametrize("name", ["picture", "parquet", "rows"])
def test_on_fixed_examples(name, targets, rng):
    target = targets[name]
    for seed in target.seeds():
        for data in [seed, *damaged(seed, rng)]:
            target.run(data)


@pytest.mark.parametrize("name", ["torch_checkpoint", "job"])
def test_on_whole_files(name, targets):
    for seed in targets[name].seeds():
        targets[name].run(seed)


def test_checkpoints_are_whole(tmp_path):
    """The fuzzer begins with what the reader takes."""
    arrays = OrderedDict(a=np.arange(6, dtype=np.float32).reshape(2, 3), b=np.array([4, 5]))
    (tmp_path / "file").write_bytes(checkpoint(arrays))
    for name, found in read_checkpoint(tmp_path / "file").items():
        np.testing.assert_array_equal(found, arrays[name])


def test_a_fault_is_found(targets):
    """A page whose data is not what went in."""
    from targets import _check_page

    with pytest.raises(AssertionError):
        _check_page("", [])
