"""One picture's decisions with what the walk did not keep: activations, and the steps it took."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph
from ...propagation.best_paths.retracing import Tracks
from ...propagation.nodes import Held


class Retraced:
    """Runs the network once more on the image that decisions are about.

    Args:
        graph: The model's calls.
        tracks: Takes the steps of a walk again.
        inputs: The image's row of each of the model's inputs, batch axis first.
        picture: Number of the input that pixels are about.
        nodes: For each decision what M held at each tensor, by number.
        targets: (N,) int64, the explained units; -1 for a mask of units.
        scores: (N,) float32, what the network answered there.

    Attributes:
        graph, tracks, picture, nodes: As given.
        tensors: Activation of every tensor, by number.
        is_current: Whether the network still answers as it did when it was explained.
    """

    def __init__(
        self,
        graph: Graph,
        tracks: Tracks,
        inputs: Sequence[np.ndarray],
        picture: int,
        nodes: Sequence[dict[int, Held]],
        targets: np.ndarray,
        scores: np.ndarray,
    ) -> None:
        self.graph, self.tracks, self.picture, self.nodes = graph, tracks, picture, nodes
        self.tensors: dict[int, tf.Tensor] = tracks.activations(inputs)
        output = np.asarray(self.tensors[graph.output], np.float32).reshape(-1)
        now = [
            output[target] if target >= 0 else output[held[graph.output].unit].mean()
            for target, held in zip(targets, nodes, strict=True)
        ]
        self.is_current = bool(np.allclose(now, scores, rtol=1e-3, atol=1e-5))
