"""What holds a model and traced functions, and is not copied."""

from typing import NoReturn


class Uncopied:
    """Refuses to be pickled or copied, in words that help."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "An explainer and what it has prepared hold a model and TensorFlow's functions, so "
            "they are neither copied nor pickled: make one where it is needed, from the model. "
            f"What it explains, an Explanation, can be both. Received: {self!r}."
        )
