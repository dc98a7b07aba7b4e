"""The house: what the imports of `keras_backtrack` say about its rooms, and how long its files are.

Every file is read, none is imported. An import counts wherever it stands: in a function, where it
only comes later, and under TYPE_CHECKING, where it is what the file has to know all the same.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePath

import pytest

_HOUSE = Path(__file__).resolve().parents[1] / "keras_backtrack"
_FILES = {path.relative_to(_HOUSE.parent): path for path in sorted(_HOUSE.rglob("*.py"))}

# What a package may import, of the others. Those that are not listed stand on top.
_MAY_IMPORT = {
    "checks": set(),
    "runtime": set(),
    "graph": {"checks"},
    "pictures": {"checks", "runtime"},
    "rules": {"checks", "graph"},
    "propagation": {"graph", "rules", "runtime"},
    "explanation": {"checks", "graph", "rules", "propagation", "pictures"},
}

_LINES_OF_A_FILE = 400
_LINES_OF_A_FUNCTION = 60
# Functions that may be longer, as "path: name", and why.
_LONGER: dict[str, str] = {}


def module_of(file: PurePath) -> tuple[str, ...]:
    """The name of a module, in parts; a package's `__init__` has the package's."""
    parts = file.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


_MODULES = {module_of(file): file for file in _FILES}


def imported_by(file: PurePath, tree: ast.AST) -> Iterator[PurePath]:
    """The files that a file imports from.

    `from .package import name` is an import of the module `name`, or else of the package's
    `__init__`, its face. A package is not imported by who imports one of its modules.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _file_of(tuple(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            # One dot is the folder of the file, each further one the folder around that.
            folder = file.parts[: len(file.parts) - node.level] if node.level else ()
            start = (*folder, *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                yield from _file_of((*start, alias.name)) or _file_of(start)


def _file_of(module: tuple[str, ...]) -> list[PurePath]:
    return [_MODULES[module]] if module in _MODULES else []


_TREES = {file: ast.parse(path.read_text(encoding="utf-8")) for file, path in _FILES.items()}
_IMPORTS = {file: set(imported_by(file, tree)) - {file} for file, tree in _TREES.items()}


def package_of(file: PurePath) -> str:
    """The package at the top that a file is in; the root's own files are in none."""
    return file.parts[1] if len(file.parts) > 2 else ""


# A file that puts together what is in folders inside of its own stands above them.
_ROOMS_OF_THEIR_OWN = {PurePath("keras_backtrack/propagation/program.py")}


def room_of(file: PurePath) -> PurePath:
    """The folder a file is in, or the file itself where it is a room of its own."""
    return file if file in _ROOMS_OF_THEIR_OWN else file.parent


def rooms() -> dict[PurePath, set[PurePath]]:
    """For each folder the other ones that its files import from.

    A face may show what is in the folders inside its own: what stands there does not need it.
    """
    found: dict[PurePath, set[PurePath]] = {}
    for file, imports in _IMPORTS.items():
        is_face = file.name == "__init__.py"
        found.setdefault(room_of(file), set()).update(
            room_of(other)
            for other in imports
            if room_of(other) != room_of(file) and not (is_face and file.parent in other.parents)
        )
    return found


def circle(imports: dict[PurePath, set[PurePath]]) -> str:
    """A circle of imports, or nothing where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return " imports ".join(map(str, reversed(error.args[1])))
    return ""


def test_how_imports_are_read():
    file = PurePath("keras_backtrack/rules/linear.py")
    source = """
import keras_backtrack.runtime.host, numpy
from . import merging
from .registry import Rules
from ..graph import compat
from keras_backtrack.pictures.page import page
if TYPE_CHECKING:
    from ..explanation.explanation import Explanation
def late():
    from .. import runtime
    from ..rules import Rules, read_model, gates
"""
    found = {str(PurePath(*other.parts[1:])) for other in imported_by(file, ast.parse(source))}
    assert found == {
        "explanation/explanation.py",
        "graph/compat.py",
        "pictures/page/__init__.py",
        "rules/__init__.py",
        "rules/gates.py",
        "rules/merging.py",
        "rules/registry.py",
        "runtime/__init__.py",
        "runtime/host.py",
    }


def test_no_circle_of_files():
    assert not circle(_IMPORTS)


def test_no_circle_of_rooms():
    assert not circle(rooms())


@pytest.mark.parametrize("package", _MAY_IMPORT)
def test_what_a_package_may_import(package):
    allowed = _MAY_IMPORT[package] | {package}
    found = [
        f"{file} imports {other}"
        for file, imports in _IMPORTS.items()
        for other in sorted(imports)
        if package_of(file) == package and package_of(other) not in allowed
    ]
    assert not found


def test_nothing_but_the_way_in_is_at_the_root():
    at_the_root = {file.name for file in _FILES if file.parent.name == _HOUSE.name}
    assert at_the_root == {"__init__.py", "__main__.py"}


def test_files_are_short():
    lines = {
        str(file): len(path.read_text(encoding="utf-8").splitlines())
        for file, path in _FILES.items()
    }
    assert not {file: n for file, n in lines.items() if n > _LINES_OF_A_FILE}


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, less those of the docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        lines -= function.body[0].end_lineno - function.body[0].lineno + 1
    return lines


def test_functions_are_short():
    lengths = {
        f"{file}: {node.name}": length(node)
        for file, tree in _TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    longer = {name: n for name, n in lengths.items() if n > _LINES_OF_A_FUNCTION}
    assert longer.keys() == _LONGER.keys(), longer
