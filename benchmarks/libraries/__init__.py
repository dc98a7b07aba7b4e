"""Small networks of libraries that build on Keras, with random weights: are they explained?"""

import importlib
from collections.abc import Callable

from keras_backtrack.graph.compat import keras

# By the name that pip knows; the environment that has it is made by `make support-hub`.
LIBRARIES = {"keras-hub": "keras_hub", "keras-cv-attention-models": "attention_models"}


def builders(library: str) -> dict[str, Callable[[], keras.Model]]:
    """What builds each of a library's networks, by name.

    Args:
        library: One of `LIBRARIES`, which must be installed.

    Raises:
        ImportError: If it is not.
    """
    module = importlib.import_module(f".{LIBRARIES[library]}", __package__)
    return dict(module.builders())
