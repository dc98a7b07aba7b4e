"""A Keras model as calls that have rules."""

from typing import Any

from ..graph.from_keras import Known, read_graph
from ..graph.graph import Graph
from .registry import is_known, reached


def read_model(
    model: Any, output: str | int | None = None, data_format: str | None = None
) -> Graph:
    """`graph.from_keras.read_graph`, with every layer recorded that has no rule."""
    return read_graph(model, Known(is_known, reached), output, data_format)
