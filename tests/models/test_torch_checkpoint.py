"""Checkpoints of PyTorch, read without it."""

import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_backtrack.models import plain_pickle
from keras_backtrack.models.torch_checkpoint import read_checkpoint

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"int": 4}}


def steps(value):
    """The steps of pickle that make a value."""
    return pickle.dumps(value, 2)[2:-1]


def pickled(made):
    return b"\x80\x02" + made + b"."


def storage(key="a", size=6, kind="FloatStorage"):
    named = steps("storage") + f"ctorch\n{kind}\n".encode() + steps(key)
    return b"(" + named + steps("cpu") + steps(size) + steps(None) + b"tQ"


def tensor(offset=0, size=(2, 3), stride=(3, 1), of=None):
    start = b"ctorch._utils\n_rebuild_tensor_v2\n(" + (storage() if of is None else of)
    hooks = b"ccollections\nOrderedDict\n)R"
    return start + steps(offset) + steps(size) + steps(stride) + steps(False) + hooks + b"tR"


def of(named):
    """A dict of tensors."""
    entries = b"".join(steps(name) + made for name, made in named.items())
    return b"ccollections\nOrderedDict\n)R(" + entries + b"u"


def counted(values):
    return struct.pack("<q", len(values)) + values.tobytes()


NUMBERS = np.arange(6, dtype="<f4")


def checkpoint(tensors=None, keys=("a",), data=None, header=None, system=SYSTEM):
    """A whole file, or one with a part that is something else."""
    tensors = of({"weight": tensor()}) if tensors is None else tensors
    header = (steps(MAGIC), steps(PROTOCOL)) if header is None else header
    parts = [*header, steps(system), tensors, steps(list(keys))]
    return b"".join(map(pickled, parts)) + (counted(NUMBERS) if data is None else data)


def read(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    return read_checkpoint(path)


def test_tensors_are_read(tmp_path):
    longs = storage("b", 2, "LongStorage")
    named = {
        "weight": tensor(),
        "turned": tensor(1, (2, 2), (1, 3)),
        "one": tensor(5, (), ()),
        "none": tensor(0, (0, 3), (3, 1)),
        "count": tensor(1, (), (), longs),
    }
    # Notes about the modules, as PyTorch makes them.
    notes = of(named) + steps({"_metadata": {"": {"version": 1}}}) + b"b"
    data = counted(np.array([7, 8], "<i8")) + counted(NUMBERS)
    found = read(tmp_path, checkpoint(notes, ["b", "a"], data))
    want = {
        "weight": NUMBERS.reshape(2, 3),
        "turned": [[1, 4], [2, 5]],
        "one": 5,
        "none": np.zeros((0, 3)),
        "count": 8,
    }
    assert list(found) == list(want)
    for name, values in want.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == ("i8" if name == "count" else "f4")
        assert not found[name].flags.writeable or not found[name].size


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def doubled(times):
    """Tuples in tuples: few steps, and 2 to the power of `times` to look at."""
    return b")" + b"q\x01h\x01\x86" * times


LONG = b"\x8a\x09" + b"\xff" * 8 + b"\x00"  # 2 to the power of 64, less 1

MALFORMED = {
    "nothing": b"",
    "text": b"no checkpoint at all",
    "zip": b"PK\x03\x04" + bytes(100),
    "code": pickle.dumps(Evil()),
    "code inside": checkpoint(of({"weight": steps(Evil())})),
    "another header": checkpoint(header=(steps(3), steps(4))),
    "a header that is no number": checkpoint(header=(doubled(200), steps(4))),
    "big endian": checkpoint(system={**SYSTEM, "little_endian": False}),
    "no system": checkpoint(system=None),
    "no tensors": checkpoint(steps([1, 2])),
    "a number for a tensor": checkpoint(of({"weight": steps(3)})),
    "a dict for a tensor": checkpoint(of({"weight": of({})})),
    "an offset below 0": checkpoint(of({"weight": tensor(-1)})),
    "an offset far below 0": checkpoint(of({"weight": tensor(-(2**40), (1,), (1,))})),
    "a stride below 0": checkpoint(of({"weight": tensor(0, (2, 3), (3, -1))})),
    "a stride far below 0": checkpoint(of({"weight": tensor(0, (2,), (-(2**40),))})),
    "a size below 0": checkpoint(of({"weight": tensor(0, (-2, 3), (3, 1))})),
    "sizes below 0 that make one above": checkpoint(of({"weight": tensor(0, (-2, -3), (3, 1))})),
    "an offset beyond": checkpoint(of({"weight": tensor(6, (1,), (1,))})),
    "a stride beyond": checkpoint(of({"weight": tensor(0, (2,), (6,))})),
    "sizes beyond": checkpoint(of({"weight": tensor(0, (2, 4), (3, 1))})),
    "sizes and strides that wrap around": checkpoint(of({"w": tensor(0, (2,), (2**62,))})),
    "huge numbers": checkpoint(of({"weight": tensor(0, (2**200,), (1,))})),
    "a stride of 0 that fills memory": checkpoint(of({"w": tensor(0, (2**40,), (0,))})),
    "more sizes than strides": checkpoint(of({"weight": tensor(0, (2, 3), (1,))})),
    "many axes": checkpoint(of({"weight": tensor(0, (1,) * 70, (1,) * 70)})),
    "truth for a number": checkpoint(of({"weight": tensor(True)})),
    "text for a number": checkpoint(of({"weight": tensor("1")})),
    "half a number": checkpoint(of({"weight": tensor(0.5)})),
    "text for sizes": checkpoint(of({"weight": tensor(0, "23", (3, 1))})),
    "few arguments": checkpoint(of({"w": b"ctorch._utils\n_rebuild_tensor_v2\n(tR"})),
    "a tensor of a number": checkpoint(of({"weight": tensor(of=steps(3))})),
    "a storage of doubles": checkpoint(of({"w": tensor(of=storage(kind="DoubleStorage"))})),
    "a storage below 0": checkpoint(of({"weight": tensor(of=storage(size=-6))})),
    "a storage that fills memory": checkpoint(of({"weight": tensor(of=storage(size=2**40))})),
    "a storage that is no tuple": checkpoint(of({"weight": tensor(of=steps(3) + b"Q")})),
    "a storage of two kinds": checkpoint(
        of({"a": tensor(), "b": tensor(of=storage(kind="LongStorage"))})
    ),
    "a storage without numbers": checkpoint(keys=[]),
    "a storage twice": checkpoint(keys=["a", "a"], data=counted(NUMBERS) * 2),
    "a storage of another name": checkpoint(keys=["b"]),
    "a name that is none": checkpoint(keys=[3]),
    "fewer numbers": checkpoint(data=counted(NUMBERS[:5])),
    "a count below 0": checkpoint(data=struct.pack("<q", -6)),
    "a huge count": checkpoint(data=struct.pack("<Q", 2**64 - 1)),
    "cut off": checkpoint()[:-1],
    "cut off early": checkpoint()[:100],
    "no numbers": checkpoint(data=b""),
    "a memo that fills memory": pickled(b"Nr" + struct.pack("<I", 2**32 - 1)),
    "a memo nobody wrote": pickled(b"h\x07"),
    "a text that fills memory": b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"a",
    "bytes that fill memory": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"a",
    "a number of a million digits": b"\x80\x02I" + b"9" * 1_000_000 + b"\n.",
    "keys that take for ever": checkpoint(b"}" + doubled(200) + b"Ns"),
    "an order that takes for ever": checkpoint(
        b"ccollections\nOrderedDict\n(" + b"](" + doubled(200) + b"N\x86ee" + b"tR"
    ),
    "a class that is changed": checkpoint(b"ctorch\nFloatStorage\n" + steps({"a": 1}) + b"b"),
    "a class that is called": checkpoint(b"ctorch\nFloatStorage\n)R"),
    "no mark": pickled(b"t"),
    "an empty stack": pickled(b"0"),
    "an entry of nothing": pickled(b"NNs"),
    "a list that is none": pickled(b"NNa"),
    "half an entry": checkpoint(b"}(" + steps("a") + b"u"),
    "a name of two lines": pickled(b"cos"),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_malformed_files(tmp_path, content, capsys):
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"not a legacy PyTorch checkpoint.*Received: '"):
        read(tmp_path, content)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000 + 10 * len(content)
    assert capsys.readouterr().out == ""


def test_steps_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_pickle, "_MOST_STEPS", 1000)
    assert read(tmp_path, checkpoint())
    with pytest.raises(ValueError, match=r"Received: .*more than 1,000 steps"):
        read(tmp_path, checkpoint(b"N" * 1000))


@pytest.mark.parametrize("path", [None, 3, b"a.pth"])
def test_paths_that_are_none(path):
    with pytest.raises(TypeError, match="`path` must be the name of a file. Received: "):
        read_checkpoint(path)


@settings(max_examples=400)
@given(
    changes=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=4),
    end=st.integers(0, 1000),
)
@example(changes=[], end=1000)
def test_any_change_is_read_or_refused(tmp_path_factory, changes, end):
    content = bytearray(checkpoint())
    for place, byte in changes:
        content[place % len(content)] = byte
    try:
        found = read(tmp_path_factory.getbasetemp(), bytes(content[:end]))
    except ValueError as error:
        assert "Received: " in str(error)
    else:
        assert all(np.isfinite(values.sum()) or values.size for values in found.values())
