"""What all tests share: TensorFlow's settings, and where real models and pictures may be."""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, settings

from keras_backtrack.graph.compat import keras

# Building and tracing a network takes a second; how long never decides a test.
settings.register_profile(
    "networks",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("networks")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _seeds():
    keras.utils.set_random_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models and pictures beside the project."""
    if not _SHARED.is_dir():
        pytest.skip("needs ../shared with real models and pictures")
    return _SHARED


@pytest.fixture
def plain_graphs():
    """Optimising a graph takes TensorFlow longer than all the rest."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
