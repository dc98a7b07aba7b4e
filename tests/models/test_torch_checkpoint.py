"""Checkpoints of PyTorch, read without it."""

import pickle

import pytest

from keras_backtrack.models.torch_checkpoint import read_checkpoint


def test_a_checkpoint_may_not_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("code ran",)

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="not a legacy PyTorch checkpoint.*print"):
        read_checkpoint(path)
