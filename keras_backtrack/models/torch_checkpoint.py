"""Reads PyTorch's legacy checkpoint files without PyTorch and without running what is in them."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class _Storage:
    """The numbers behind one or more tensors; filled once the file's second part is read."""

    def __init__(self, dtype: np.dtype, size: int) -> None:
        self.array = np.zeros(size, dtype)


class _Float32(_Storage):
    dtype = np.dtype("<f4")


class _Int64(_Storage):
    dtype = np.dtype("<i8")


def _rebuild_tensor(storage: _Storage, offset: int, size: tuple, stride: tuple, *_: Any) -> tuple:
    """A tensor is remembered as a view until its storage is filled."""
    return storage, offset, size, stride


# All a checkpoint of plain weights needs; pickle can reach nothing else.
_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): _Float32,
    ("torch", "LongStorage"): _Int64,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, storages: dict[str, _Storage]) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                "A checkpoint may hold tensors of float32 and int64 only. "
                f"Received: a reference to {module}.{name}."
            ) from None

    def persistent_load(self, reference: tuple) -> _Storage:
        _, kind, key, _, size, _ = reference
        return self._storages.setdefault(key, kind(kind.dtype, size))


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a legacy (pre-zip) PyTorch checkpoint.

    Args:
        path: The file.

    Returns:
        The arrays by name.

    Raises:
        pickle.UnpicklingError: If the file refers to anything but plain tensors.
        ValueError: If it is no such file, or ends too early.
    """
    with open(path, "rb") as file:
        storages: dict[str, _Storage] = {}
        read = _Unpickler(file, storages).load
        try:
            header = (read(), _Unpickler(file, storages).load())
        except (EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"{_not_a_checkpoint(path)} {error}.") from None
        if header != (_MAGIC, _PROTOCOL):
            raise ValueError(f"{_not_a_checkpoint(path)} header {header!r}.")
        _Unpickler(file, storages).load()  # the writer's byte order and word sizes
        tensors = _Unpickler(file, storages).load()
        for key in _Unpickler(file, storages).load():
            array = storages[key].array
            if int.from_bytes(file.read(8), "little") != len(array):
                raise ValueError(f"{_not_a_checkpoint(path)} a storage of the wrong size.")
            data = file.read(array.nbytes)
            if len(data) != array.nbytes:
                raise ValueError(f"{_not_a_checkpoint(path)} a truncated file.")
            array[:] = np.frombuffer(data, array.dtype)
    return {name: _view(*tensor) for name, tensor in tensors.items()}


def _view(storage: _Storage, offset: int, size: tuple, stride: tuple) -> np.ndarray:
    array = storage.array[offset:]
    last = sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if last >= len(array):
        raise ValueError(f"A tensor reaches beyond its storage. Received: shape {size}.")
    strides = [step * array.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(array, size, strides, writeable=False)


def _not_a_checkpoint(path: str | Path) -> str:
    return f"{str(path)!r} is not a legacy PyTorch checkpoint. Received:"
