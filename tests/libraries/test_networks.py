"""Networks of KerasHub and keras-cv-attention-models, small, with random weights."""

import importlib.util

import numpy as np
import pytest
from networks import assert_equals_reference

from benchmarks import libraries
from benchmarks.libraries import measuring
from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import KERAS_3, keras
from keras_backtrack.propagation.limits import Limits
from keras_backtrack.rules import read_model

_MODULES = {"keras-hub": "keras_hub", "keras-cv-attention-models": "keras_cv_attention_models"}
# The second builds few networks on Keras 3.
_HERE = [
    library
    for library, module in _MODULES.items()
    if importlib.util.find_spec(module) and (library == "keras-hub") == KERAS_3
]
if not _HERE:
    pytest.skip("needs keras-hub or its like: `make test-hub`", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("plain_graphs")]
_BUILDERS = {name: b for lib in _HERE for name, b in libraries.builders(lib).items()}
# One brings rows of some texts to others, one compares each text with each image.
_NOT_YET = {"CLIP", "XLNet"}
# One of each family, as few layers as it can have: plain loops are slow.
_LIKE_REFERENCE = (
    *("DenseNet, classifier", "VGG, classifier", "MobileNetV3, classifier", "ViT, classifier"),
    *("DINOv2", "CLIP vision", "DistilBert, classifier", "Albert, classifier", "GPT2"),
    *("Swin, classifier", "FNet, classifier", "BEiT", "CoAtNet", "ConvNeXt", "EfficientFormer"),
    *("LeViT", "SwinV2"),
)


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    keras.backend.clear_session()


@pytest.mark.parametrize("name", _BUILDERS)
@pytest.mark.parametrize("method", measuring.METHODS)
def test_keeps_all_mass_and_the_score(name, method):
    if name in _NOT_YET:
        pytest.skip("mixes texts, or images")
    model = measuring.built(_BUILDERS[name])
    x, output = measuring.inputs(model), measuring.output_of(model)
    want, target = measuring.answer(model, x, output)
    for contrast in (True, False):
        explainer = BacktrackExplainer(model, method=method, output=output, contrast=contrast)
        assert not measuring.wrong(explainer.explain(x, target), want)


@pytest.mark.parametrize("name", [name for name in _LIKE_REFERENCE if name in _BUILDERS])
@pytest.mark.parametrize("method", measuring.METHODS)
def test_equals_reference(name, method):
    model = measuring.built(_BUILDERS[name])
    x = measuring.inputs(model)
    graph = read_model(model)
    names = [graph.names[number] for number in graph.inputs]
    x = [x[name] for name in names] if isinstance(x, dict) else [x]
    limits = None if method == "posterior" else Limits(3, 1, 1, False)
    targets = np.array([[1]])
    rows = [own[:1] for own in x]
    assert_equals_reference(model, rows, targets, limits, method=method, contrast=0.25)
