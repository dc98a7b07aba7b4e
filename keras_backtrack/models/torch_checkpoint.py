"""Reads PyTorch's legacy checkpoint files without PyTorch and without running what is in them."""

import math
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checks import arguments
from .plain_pickle import read_pickle

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MOST_AXES = 32  # NumPy's, before 2.0


class _Storage(NamedTuple):
    """The numbers behind one or more tensors, which come in the file's second part."""

    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    """Which of a storage's numbers a tensor is, in numbers from its start."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a legacy (pre-zip) PyTorch checkpoint.

    A file of any content takes no more memory than a few times its size, and seconds.

    Args:
        path: The file.

    Returns:
        The arrays by name, read only.

    Raises:
        OSError: If it cannot be read.
        TypeError: If `path` is no path.
        ValueError: If it is no such file, is damaged, or holds anything but plain tensors.
    """
    file = arguments.file("path", path)
    with arguments.accessed(file):
        content = file.read_bytes()
    try:
        return _Reader(content).tensors()
    # Of what is no pickle at all Python's own parser says so in many ways.
    except (ValueError, TypeError, ArithmeticError, RecursionError, LookupError) as error:
        raise ValueError(
            "The file is not a legacy PyTorch checkpoint of plain tensors of float32 and int64, or "
            f"is damaged. Received: {str(path)!r}, in which there is {error}."
        ) from None


class _Reader:
    """Reads one file.

    Args:
        content: All of it.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._file = content, BytesIO(content)
        self._storages: dict[str, _Storage] = {}
        # All a checkpoint of plain weights needs; it can reach nothing else.
        self._names = {
            "collections OrderedDict": _empty,
            "torch._utils _rebuild_tensor_v2": self._rebuilt,
            "torch FloatStorage": np.dtype("<f4"),
            "torch LongStorage": np.dtype("<i8"),
        }

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        if self._next() != _MAGIC or self._next() != _PROTOCOL:
            raise ValueError("another header")
        system = self._next()
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise ValueError("another order of bytes")
        tensors, keys = self._next(), self._next()
        if not isinstance(tensors, dict) or not isinstance(keys, list):
            raise ValueError("no dict of tensors, or no list of storages behind it")
        if not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
            raise ValueError("something else than tensors")
        arrays: dict[str, np.ndarray] = {}
        for key in keys:
            if not isinstance(key, str) or key in arrays or key not in self._storages:
                raise ValueError("a storage that no tensor is in, or that comes twice")
            arrays[key] = self._numbers(self._storages[key])
        return {name: _view(arrays, tensor) for name, tensor in tensors.items()}

    def _next(self) -> Any:
        return read_pickle(self._file, self._names, self._storage)

    def _numbers(self, storage: _Storage) -> np.ndarray:
        """The next storage of the second part: how many numbers, and the numbers."""
        count = int.from_bytes(self._file.read(8), "little", signed=True)
        if count != storage.size:
            raise ValueError("a storage of the wrong size")
        start = self._file.tell()
        if storage.size * storage.dtype.itemsize > len(self._content) - start:
            raise ValueError("a storage that is cut off")
        self._file.seek(storage.size * storage.dtype.itemsize, 1)
        return np.frombuffer(self._content, storage.dtype, storage.size, start)

    def _storage(self, reference: Any) -> _Storage:
        """What the first part says of a storage."""
        if not isinstance(reference, tuple) or len(reference) != 6:
            raise ValueError("a storage that is described otherwise")
        _, dtype, key, _, size, _ = reference
        if not isinstance(dtype, np.dtype) or not isinstance(key, str) or not _are_counts((size,)):
            raise ValueError("a storage that is described otherwise")
        own = _Storage(key, dtype, size)
        if self._storages.setdefault(key, own) != own:
            raise ValueError("two storages of the same name")
        return own

    def _rebuilt(self, *arguments: Any) -> _Tensor:
        """What the first part says of a tensor: storage, offset, size, stride, and more."""
        if len(arguments) < 4:
            raise ValueError("a tensor that is described otherwise")
        storage, offset, size, stride = arguments[:4]
        if not isinstance(storage, _Storage) or not (_are_counts(size) and _are_counts(stride)):
            raise ValueError("a tensor whose sizes or strides are no numbers of at least 0")
        if not _are_counts((offset,)) or len(size) != len(stride) or len(size) > _MOST_AXES:
            raise ValueError("a tensor whose offset is below 0, or with other axes than strides")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        # Strides of 0 would let a few numbers be an array that fills the memory when it is copied.
        count = math.prod(size)
        if count and (last >= storage.size or count > storage.size):
            raise ValueError("a tensor that reaches beyond its storage")
        return _Tensor(storage, offset, size, stride)


def _empty() -> dict:
    """An `OrderedDict`, which is filled later."""
    return {}


def _are_counts(values: Any) -> bool:
    """Whether these are a tuple of whole numbers of at least 0 that an address has room for."""
    return isinstance(values, tuple) and all(
        type(value) is int and 0 <= value < 2**48 for value in values
    )


def _view(arrays: dict[str, np.ndarray], tensor: _Tensor) -> np.ndarray:
    storage, offset, size, stride = tensor
    if storage.key not in arrays:
        raise ValueError("a tensor without its storage")
    if not math.prod(size):
        return np.zeros(size, storage.dtype)
    array = arrays[storage.key][offset:]
    strides = [step * array.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(array, size, strides, writeable=False)
