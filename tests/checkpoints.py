"""Legacy checkpoints as PyTorch writes them, without it."""

import io
import pickle
from collections import OrderedDict

import numpy as np

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_STORAGES = {"f": b"FloatStorage", "i": b"LongStorage"}


def checkpoint(tensors: "OrderedDict[str, np.ndarray]") -> bytes:
    """A file of float32 and int64 arrays, each with a storage of its own."""
    file = io.BytesIO()
    for part in (_MAGIC, _PROTOCOL, {"little_endian": True}):
        pickle.dump(part, file, 2)
    file.write(_tensors(tensors))
    pickle.dump([str(number) for number in range(len(tensors))], file, 2)
    for array in tensors.values():
        file.write(array.size.to_bytes(8, "little") + np.ascontiguousarray(array).tobytes())
    return file.getvalue()


def _tensors(tensors: "OrderedDict[str, np.ndarray]") -> bytes:
    """An OrderedDict of calls of torch's function that makes a tensor, by its opcodes."""
    text = b"\x80\x02ccollections\nOrderedDict\n)R("
    for number, (name, array) in enumerate(tensors.items()):
        text += _text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(("
        text += _text("storage") + b"ctorch\n" + _STORAGES[array.dtype.kind] + b"\n"
        text += _text(str(number)) + _text("cpu") + _int(array.size) + b"NtQ" + _int(0)
        text += b"(" + b"".join(map(_int, array.shape)) + b"t"
        text += b"(" + b"".join(_int(step // array.itemsize) for step in array.strides) + b"t"
        text += b"\x89ccollections\nOrderedDict\n)RtR"
    return text + b"u."


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def _int(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)
