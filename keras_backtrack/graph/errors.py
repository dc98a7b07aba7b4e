"""What this package raises beyond `ValueError` and `TypeError`, and what it says of others."""

import linecache
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path


class UnsupportedModelError(TypeError):
    """The model as a whole cannot be read as calls of layers, or cannot run on this host."""


class UnsupportedLayerError(NotImplementedError):
    """One or more layers between the input and the chosen output have no rule."""


def told(error: Exception) -> str:
    """An error and the line of a user's own, or of another library, that it came from."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text.rstrip(".") + line_of(traceback.extract_tb(error.__traceback__))


def line_of(frames: Iterable[traceback.FrameSummary]) -> str:
    """The last of some lines that is a user's own, or another library's, in brackets; or nothing.

    Args:
        frames: The outermost first.
    """
    # Not imported: whoever asks for an error's class may still choose TensorFlow's settings.
    libraries = (sys.modules.get(name) for name in ("keras", "tensorflow", "tf_keras"))
    folders = [str(Path(str(module.__file__)).parent) for module in libraries if module]
    own, frames = str(Path(__file__).parents[1]), list(frames)
    are_ours = [frame.filename.startswith(own) for frame in frames]
    # What comes before called us, and is not what is looked at.
    first = are_ours.index(True) if any(are_ours) else 0
    found = [
        frame
        for frame, is_ours in zip(frames[first:], are_ours[first:], strict=True)
        if not is_ours and not any(frame.filename.startswith(folder) for folder in folders)
    ]
    if not found:
        return ""
    name, number = found[-1].filename, found[-1].lineno or 0
    # TensorFlow's frames are without their text.
    text = linecache.getline(name, number).strip()
    return f" (line {number} of {name}{f': {text}' if text else ''})"
