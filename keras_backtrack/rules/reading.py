"""A Keras model as calls that have rules."""

from typing import Any

from ..graph.from_keras import Known, read_graph
from ..graph.graph import Graph
from .activations import is_elementwise
from .registry import is_known, reached


def read_model(
    model: Any,
    output: str | int | None = None,
    data_format: str | None = None,
    fallback: str | None = None,
) -> Graph:
    """`graph.from_keras.read_graph`, with every layer recorded that has no rule."""
    known = Known(is_known, reached, is_elementwise)
    return read_graph(model, known, output, data_format, fallback is not None)
