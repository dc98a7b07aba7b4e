"""What this package raises beyond `ValueError` and `TypeError`."""


class UnsupportedModelError(TypeError):
    """The model as a whole cannot be read as calls of layers, or cannot run on this host."""


class UnsupportedLayerError(NotImplementedError):
    """One or more layers between the input and the chosen output have no rule."""
