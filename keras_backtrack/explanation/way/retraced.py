"""One picture's decisions with what the walk did not keep: activations, and the steps it took."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ...graph.graph import Graph
from ...propagation.best_paths.retracing import Tracks
from ...propagation.nodes import Held
from ...propagation.question import Question, answered


class Answers(NamedTuple):
    """What the network answered when it was explained.

    Attributes:
        targets: (N,) int64, what was explained; -1 for a mask of units.
        scores: (N,) float32, the output there.
        meaning: What targets stand for, as `short_name` takes it.
    """

    targets: np.ndarray
    scores: np.ndarray
    meaning: str

    def are(self, output: np.ndarray, masks: Sequence[np.ndarray | None]) -> bool:
        """Whether they are those of an output.

        Args:
            output: (..., classes) float32.
            masks: For each decision the units that it is about where these are several; None where
                they were not kept.
        """
        units = output.reshape(-1)
        if self.meaning == "side":
            units = np.concatenate([1 - units, units])
        is_everywhere = self.meaning == "class" and output.ndim > 1
        meaning = "class" if is_everywhere else "unit"
        now = self.scores.copy()
        for i, (target, mask) in enumerate(zip(self.targets, masks, strict=True)):
            first = np.zeros(1, np.int64)
            if target < 0:
                now[i] = self.scores[i] if mask is None else units[mask].mean()
                continue
            classes = output.shape[-1] if output.ndim else 1
            asked = Question(first, [first + target], meaning=meaning, classes=classes)
            try:
                now[i] = answered(asked, units[None], first).scores[0]
            except ValueError:  # A class that is predicted nowhere any more.
                return False
        return bool(np.allclose(now, self.scores, rtol=1e-3, atol=1e-5))


class Retraced:
    """Runs the network once more on the image that decisions are about.

    Args:
        graph: The model's calls.
        tracks: Takes the steps of a walk again.
        inputs: The image's row of each of the model's inputs, batch axis first.
        picture: Number of the input that pixels are about.
        nodes: For each decision what M held at each tensor, by number.
        answers: What was answered to the questions about it.
        method: How paths were followed.
        starts: Numbers of the tensors that they were followed from.

    Attributes:
        graph, tracks, picture, nodes, method, starts: As given.
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
        answers: Answers,
        method: str,
        starts: Collection[int],
    ) -> None:
        self.graph, self.tracks, self.picture, self.nodes = graph, tracks, picture, nodes
        self.method, self.starts = method, starts
        self.tensors: dict[int, tf.Tensor] = tracks.activations(inputs)
        output = np.asarray(self.tensors[graph.output], np.float32)[0]
        masks = [held[graph.output].unit if graph.output in held else None for held in nodes]
        self.is_current = answers.are(output, masks)
