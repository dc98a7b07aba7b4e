"""Which pictures a job is about."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image


def find_pictures(source: str) -> list[str]:
    """Lists pictures, each once, as absolute paths.

    Args:
        source: A folder: all files in it, and in the folders in it, that are named as pictures
            are, sorted; hidden ones are left out. Or a pattern such as `"photos/**/*.jpg"`: what
            it matches, sorted. Or one picture. Or any other file: a list of paths, as `from_list`
            reads it.

    Raises:
        ValueError: If there is nothing of the kind, or no picture in it.
        OSError: If a folder in it or the list cannot be read.
    """
    path = Path(source)
    found: Iterable[str]
    if path.is_dir():
        found = _in_folder(path)
    elif path.is_file():
        found = [source] if _is_named_as_picture(source) else from_list(path.read_bytes())
    elif glob.has_magic(source):
        found = sorted(glob.iglob(source, recursive=True))
    else:
        raise ValueError(
            f"There is no such folder, file or match of a pattern. Received: {source!r}."
        )
    # A list may name a picture twice.
    pictures = list(dict.fromkeys(os.path.abspath(name) for name in found))
    if not pictures:
        raise ValueError(f"There are no pictures. Received: {source!r}.")
    return pictures


def _in_folder(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    for root, folders, files in os.walk(folder, onerror=fail):
        folders.sort()
        # A folder named x.jpg is listed, too, and will be found to be no picture.
        for name in sorted(files + folders):
            if not name.startswith(".") and _is_named_as_picture(name):
                yield os.path.join(root, name)
        folders[:] = [name for name in folders if not name.startswith(".")]


def as_list(pictures: Sequence[str]) -> bytes:
    """A list of paths that `from_list` reads: one on a line, unless a path has several lines."""
    has_lines = any("\n" in path or "\r" in path for path in pictures)
    return b"".join(os.fsencode(path) + (b"\0" if has_lines else b"\n") for path in pictures)


def from_list(content: bytes) -> list[str]:
    """Reads a list of paths: one on a line, or each ended by a NUL as `find -print0` does."""
    if b"\0" in content:
        return [os.fsdecode(path) for path in content.split(b"\0") if path]
    lines = os.fsdecode(content).split("\n")
    return [line.rstrip("\r") for line in lines if line.strip()]


def is_whole_list(content: bytes, count: int) -> bool:
    """Whether that is all of what `as_list` has written of so many pictures."""
    end = b"\0" if b"\0" in content else b"\n"
    return content.endswith(end) and content.count(end) == count


def _is_named_as_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in Image.registered_extensions()
