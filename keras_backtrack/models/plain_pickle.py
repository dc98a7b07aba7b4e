"""The part of pickle that checkpoints of plain weights are made of, read without running anything.

Python's own reader calls what a file names, changes attributes as it says and makes room for as
much as it promises. Here a file makes texts, whole numbers, tuples, lists and dicts with texts for
keys, all of them no larger than it is, and calls the few functions that it is allowed to.
"""

import pickletools
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

_MOST_STEPS = 1_000_000  # a second or two; a checkpoint has about twenty for each tensor

_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE")
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(file: BytesIO, names: Mapping[str, Any], persistent: Callable[[Any], Any]) -> Any:
    """Reads one pickle.

    Args:
        file: Positioned at its start, and afterwards behind its end.
        names: What the file may refer to, by "module name". Of these it may call functions.
        persistent: Makes an object of what the file refers to as kept elsewhere.

    Raises:
        ValueError: If it is damaged, or of more than that.
    """
    machine = _Machine(names, persistent)
    for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if step == _MOST_STEPS:
            raise ValueError(f"more than {_MOST_STEPS:,} steps of pickle")
        if opcode.name == "STOP":
            break
        machine.take(opcode.name, argument)
    return machine.pop()


class _Machine:
    """A stack of objects, as pickle's steps change it."""

    def __init__(self, names: Mapping[str, Any], persistent: Callable[[Any], Any]) -> None:
        self._names, self._persistent = names, persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def take(self, name: str, argument: Any) -> None:
        """Takes a step."""
        push = self._stack.append
        if name in _VALUES:
            push(argument)
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._top()
        elif name in ("BINGET", "LONG_BINGET"):
            push(self._remembered(argument))
        elif name in _TUPLES:
            push(tuple([self.pop() for _ in range(_TUPLES[name])][::-1]))
        elif name == "MARK":
            self._marks.append(len(self._stack))
        elif name == "TUPLE":
            push(tuple(self._since_mark()))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            push({} if name == "EMPTY_DICT" else [])
        elif name in ("SETITEM", "SETITEMS"):
            self._set(self._since_mark() if name == "SETITEMS" else [self.pop(), self.pop()][::-1])
        elif name in ("APPEND", "APPENDS"):
            self._append([self.pop()] if name == "APPEND" else self._since_mark())
        elif name == "GLOBAL":
            push(self._named(argument))
        elif name == "BINPERSID":
            push(self._persistent(self.pop()))
        elif name == "REDUCE":
            arguments = self.pop()
            push(self._called(self.pop(), arguments))
        elif name == "BUILD":
            # Notes that PyTorch makes about a checkpoint's modules.
            self.pop()
            _demand(isinstance(self._top(), dict), "attributes of what is no dict")
        else:
            _demand(name == "PROTO", f"the step {name}")

    def pop(self) -> Any:
        """Takes the last object from the stack."""
        top = self._top()
        del self._stack[-1]
        return top

    def _top(self) -> Any:
        _demand(len(self._stack) > (self._marks[-1] if self._marks else 0), "an empty stack")
        return self._stack[-1]

    def _since_mark(self) -> list[Any]:
        _demand(bool(self._marks), "no mark")
        first = self._marks.pop()
        values = self._stack[first:]
        del self._stack[first:]
        return values

    def _remembered(self, number: int) -> Any:
        _demand(number in self._memo, "what was not remembered")
        return self._memo[number]

    def _set(self, pairs: list[Any]) -> None:
        into, keys = self._top(), pairs[::2]
        _demand(isinstance(into, dict) and len(pairs) % 2 == 0, "entries of what is no dict")
        # To look at another key, such as tuples of tuples of tuples, may take for ever.
        _demand(all(isinstance(key, str) for key in keys), "a dict whose keys are no texts")
        into.update(zip(keys, pairs[1::2], strict=True))

    def _append(self, values: list[Any]) -> None:
        into = self._top()
        _demand(isinstance(into, list), "items of what is no list")
        into.extend(values)

    def _named(self, name: str) -> Any:
        _demand(name in self._names, f"a reference to {name.replace(' ', '.')[:80]}")
        return self._names[name]

    def _called(self, function: Any, arguments: Any) -> Any:
        _demand(callable(function) and isinstance(arguments, tuple), "a call of what is none")
        return function(*arguments)


def _demand(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise ValueError(otherwise)
