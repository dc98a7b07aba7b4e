"""Networks by name or from a file, with their preprocessing and class names."""

import difflib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from ..checks import arguments
from ..graph.compat import keras
from ..graph.structures import keys_of
from ..pictures.class_names import find_class, labels_of_one_unit
from ..pictures.photos import Frame
from ..rules import read_model
from ..rules.activations import is_sigmoid
from ..rules.gates import is_output_made_by
from .efficientnet import efficientnet_lite0

__all__ = ["Network", "class_names", "efficientnet_lite0", "load_network", "network_names"]

_BUILT_IN = "efficientnet-lite0"
_CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)
_TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_TORCH_STD = np.array([0.229, 0.224, 0.225], np.float32)

Preprocess = Callable[[np.ndarray], np.ndarray]

# Each takes RGB pixels in [0, 255], as bytes or float32, and answers with new float32.
PREPROCESSING: dict[str, Preprocess] = {
    "none": lambda x: x.astype(np.float32),
    "unit": lambda x: x / np.float32(255),
    "tf": lambda x: x / np.float32(127.5) - np.float32(1),
    "caffe": lambda x: x[..., ::-1] - _CAFFE_MEAN,
    "torch": lambda x: (x / np.float32(255) - _TORCH_MEAN) / _TORCH_STD,
    "lite": lambda x: (x - np.float32(127)) / np.float32(128),
}


@dataclass(frozen=True)
class Network:
    """A model with what it takes to show it a photo.

    Attributes:
        model: The Keras model.
        preprocess: From RGB pixels, (N, H, W, 3) uint8 or float32 in [0, 255], to what the model
            takes, float32.
        classes: Names of the classes; where unknown, their numbers, and of a single unit "no" and
            "yes" where it ends in a sigmoid, else "output".
        frame: From the sizes of a photo and the network's input to the part it sees.
    """

    model: keras.Model
    preprocess: Preprocess
    classes: tuple[str, ...]
    frame: Callable[[tuple[int, int], tuple[int, int]], Frame]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input; 224 where the model takes any."""
        height, width = _shapes(self.model)[0][1:3]
        return height or 224, width or 224

    def class_index(self, wanted: str) -> int:
        """The class with this number or name, one of its synonyms, in any case.

        Raises:
            ValueError: If there is none, or several.
        """
        if wanted.lstrip("-").isdigit():
            if 0 <= int(wanted) < len(self.classes):
                return int(wanted)
            raise ValueError(
                f"Classes go from 0 to {len(self.classes) - 1}. Received: class {wanted}."
            )
        return find_class(wanted, self.classes)


@cache
def class_names() -> tuple[str, ...]:
    """The 1,000 ImageNet classes in their usual order, each with its WordNet synonyms."""
    text = resources.files(__package__).joinpath("imagenet_classes.txt")
    return tuple(text.read_text(encoding="utf-8").splitlines())


@cache
def network_names() -> dict[str, str | None]:
    """Names that `load_network` knows: the built-in one, and those of `keras.applications`."""
    names = [n for n in dir(keras.applications) if n[0].isupper()]
    return {_BUILT_IN: None} | {n.lower(): n for n in names}


def load_network(
    name: str = _BUILT_IN,
    weights: str | Path | None = None,
    preprocess: str | None = None,
    resize: str | None = None,
    allow_code: bool = False,
) -> Network:
    """Loads a network by name, or a model file.

    Args:
        name: `"efficientnet-lite0"`, a name in `keras.applications` (in any case), or a
            `.keras` or `.h5` file.
        weights: For `keras.applications`, a file of weights instead of downloading ImageNet's.
        preprocess: How pixels are prepared, a key of `PREPROCESSING`. By default a named
            network's own, and `"none"` for a file.
        resize: `"crop"` (the centre, the default for named networks) or `"squeeze"` (the whole
            photo, the default for a file).
        allow_code: Whether a file may bring code of its own (Lambda layers), which then runs.

    Raises:
        ValueError: If there is no such network, file or preprocessing, or the file cannot be
            loaded.
    """
    arguments.one_of("preprocess", preprocess, (*sorted(PREPROCESSING), None))
    arguments.one_of("resize", resize, ("crop", "squeeze", None))
    arguments.truth("allow_code", allow_code)
    name = str(arguments.file("name", name))
    weights = None if weights is None else arguments.file("weights", weights)
    if Path(name).suffix in (".keras", ".h5"):
        if weights is not None:
            raise ValueError(
                f"A model file has its own weights. Received: weights {str(weights)!r}."
            )
        model = _load_file(Path(name), allow_code)
        prepare, framing = PREPROCESSING["none"], "squeeze"
    elif name.lower() == _BUILT_IN:
        if weights is not None:
            raise ValueError(
                f"The built-in network has its own weights. Received: weights {str(weights)!r}."
            )
        model = efficientnet_lite0()
        prepare, framing = PREPROCESSING["lite"], "crop"
    else:
        model, prepare = _load_application(name, weights)
        framing = "crop"
    shapes = _shapes(model)
    if [len(shape) for shape in shapes] != [4, 2] or shapes[0][-1] != 3:
        raise ValueError(
            "The network must take RGB pictures and answer with classes, one input and one output. "
            f"Received: input {model.input_shape}, output {model.output_shape}."
        )
    if keys_of(model, "inputs") or keys_of(model, "outputs"):
        # What is in dicts is one tensor from here on.
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    classes = _classes_of(model)
    frame = {"crop": Frame.crop, "squeeze": Frame.squeeze}[resize or framing]
    return Network(model, PREPROCESSING[preprocess] if preprocess else prepare, classes, frame)


def _shapes(model: keras.Model) -> list[tuple[int | None, ...]]:
    """Of all inputs and outputs, which may be in dicts."""
    return [tuple(tensor.shape) for tensor in (*model.inputs, *model.outputs)]


def _classes_of(model: keras.Model) -> tuple[str, ...]:
    count = int(model.outputs[0].shape[-1])
    if count == 1:
        return labels_of_one_unit(is_output_made_by(read_model(model), is_sigmoid))
    return class_names() if count == 1000 else tuple(map(str, range(count)))


def _load_application(name: str, weights: str | Path | None) -> tuple[keras.Model, Preprocess]:
    names = network_names()
    builder = names.get(name.lower())
    if builder is None:
        near = difflib.get_close_matches(name.lower(), names, n=4)
        raise ValueError(
            f"There is no network of this name{f'; near it are {near}' if near else ''}. Known "
            f"are {', '.join(names)}, and .keras or .h5 files. Received: {name!r}."
        )
    if weights is not None and not Path(weights).is_file():
        raise ValueError(f"There is no such file of weights. Received: {str(weights)!r}.")
    build = getattr(keras.applications, builder)
    try:
        model = build(weights=str(weights) if weights else "imagenet")
    except Exception as error:
        hint = "" if weights else " Without a network, give a file with --weights."
        raise ValueError(
            f"The weights of {builder} could not be loaded.{hint} Received: {error}"
        ) from error
    own = sys.modules[build.__module__].preprocess_input
    # Keras's functions may write into what they are given.
    return model, lambda x: np.asarray(own(np.array(x, np.float32)), np.float32)


def _load_file(path: Path, allow_code: bool) -> keras.Model:
    if not path.is_file():
        raise ValueError(f"There is no such model file. Received: {str(path)!r}.")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=not allow_code)
    except Exception as error:
        hint = ""
        if not allow_code and ("safe_mode" in str(error) or "unsafe" in str(error).lower()):
            hint = (
                " It holds code of its own, which is refused, since it would run here. Where you "
                "trust it, allow that with --allow-code."
            )
        raise ValueError(
            f"The model file {str(path)!r} could not be loaded.{hint} Received: {error}"
        ) from error
