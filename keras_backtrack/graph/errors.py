"""What this package raises beyond `ValueError` and `TypeError`, and what it says of others."""

import sys
import traceback
from pathlib import Path


class UnsupportedModelError(TypeError):
    """The model as a whole cannot be read as calls of layers, or cannot run on this host."""


class UnsupportedLayerError(NotImplementedError):
    """One or more layers between the input and the chosen output have no rule."""


def told(error: Exception) -> str:
    """An error and the line of a user's own, or of another library, that it came from."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    # Not imported: whoever asks for an error's class may still choose TensorFlow's settings.
    libraries = (sys.modules.get(name) for name in ("keras", "tensorflow", "keras_backtrack"))
    folders = [str(Path(str(module.__file__)).parent) for module in libraries if module]
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(frame.filename.startswith(folder) for folder in folders)
    ]
    if not frames:
        return text
    return f"{text} (line {frames[-1].lineno} of {frames[-1].filename}: {frames[-1].line})"
