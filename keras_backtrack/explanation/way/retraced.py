"""One picture's decisions with what the walk did not keep: activations, and the steps it took."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph
from ...propagation.best_paths.retracing import Tracks
from ...propagation.nodes import Held

if TYPE_CHECKING:
    from ..explanation import Explanation


class Retraced:
    """Runs the network once more on the image that decisions are about.

    Args:
        explanation: The decisions, all about one image.

    Attributes:
        graph: The model's calls.
        tracks: Takes the steps of a walk again.
        tensors: Activation of every tensor, by number.
    """

    def __init__(self, explanation: "Explanation") -> None:
        self._explanation, self._layers = explanation, explanation._layers
        self.graph: Graph = self._layers.graph
        self.tracks: Tracks = self._layers.tracks
        image = int(explanation.image_index[0])
        inputs = [values[image : image + 1] for values in explanation._kept_images()]
        self.tensors: dict[int, tf.Tensor] = self.tracks.activations(inputs)
        self._nodes = [self._layers.all_of(row) for row in explanation._rows]

    def nodes(self, i: int) -> dict[int, Held]:
        """What M held at each tensor for the i-th decision, by number."""
        return self._nodes[i]

    @property
    def picture(self) -> int:
        """Number of the input that pixels are about."""
        return self.graph.inputs[self._explanation._shown]

    @cached_property
    def is_current(self) -> bool:
        """Whether the network still answers as it did when it was explained."""
        output = np.asarray(self.tensors[self.graph.output], np.float32).reshape(-1)
        now = [
            output[target] if target >= 0 else output[nodes[self.graph.output].unit].mean()
            for target, nodes in zip(self._explanation.targets, self._nodes, strict=True)
        ]
        return bool(np.allclose(now, self._explanation.scores, rtol=1e-3, atol=1e-5))
