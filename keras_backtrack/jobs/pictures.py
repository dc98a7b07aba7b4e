"""Which pictures a job is about."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image


def find_pictures(source: str) -> list[str]:
    """Lists pictures, each once, as absolute paths.

    Args:
        source: A folder: all files in it, and in the folders in it, that are named as pictures
            are, sorted; hidden ones are left out. Or a pattern such as `"photos/**/*.jpg"`: what
            it matches, sorted. Or one picture. Or any other file: a list of paths, one on a line.

    Raises:
        ValueError: If there is nothing of the kind, or no picture in it.
        OSError: If a folder in it or the list cannot be read.
    """
    path = Path(source)
    found: Iterable[str]
    if path.is_dir():
        found = _in_folder(path)
    elif path.is_file():
        found = [source] if _is_named_as_picture(source) else _in_list(path)
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


def _in_list(path: Path) -> Iterator[str]:
    for line in os.fsdecode(path.read_bytes()).split("\n"):
        if line.strip():
            yield line.rstrip("\r")


def _is_named_as_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in Image.registered_extensions()
