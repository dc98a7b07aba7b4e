"""`BacktrackExplainer`: checks what comes in, runs the program, wraps what comes out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .checks import check_images, check_limit, check_method, check_scores, check_targets
from .compat import keras
from .errors import UnsupportedModelError
from .explanation import Explanation
from .graph import read_graph
from .program import Program
from .rules import check_support, is_known, rule_name
from .step import Limits


class BacktrackExplainer:
    """Finds the pixels that made a Keras network decide.

    The network runs once; then each decision is walked back from its output unit to the input,
    layer by layer, following the contributions that mattered most (*How You See Me*, Gandikota
    and Mishra, section III). Nothing is trained, no gradient is taken and the model is not
    changed. The model's weights are read at every call, so an explainer stays valid while the
    model goes on training.

    Args:
        model: A built `keras.Model` with one input. Nested and shared layers are opened up; of a
            subclassed model, and of layers without a rule, what their `call` does is recorded.
        top_n: How many inputs of a Dense layer's unit (and of an average pooling's window) are
            followed at most; None for all with a positive contribution, as Algorithm 1 prints.
        channels: How many channels of a convolution's input are followed at most; 1 is the
            paper's text and Fig. 5, None for all is Algorithm 2 as printed.
        positions: How many positions are followed in each of those channels, or in a depthwise
            convolution's window; 1 is the paper's.
        method: `"viterbi"` follows the best contributions, as the paper does. `"posterior"` follows
            all of them at once, each unit's mass split in proportion over every positive
            contribution, and leaves the limits above unused. It costs three to four forward passes
            and shows whole objects where the best paths leave a few points. In a network of ReLUs
            it is Excitation Backprop (Zhang et al., 2016).
        include_bias: Whether the bias is added to every product before the test for a positive
            contribution, as Algorithms 1 and 2 print. By default a bias is no input's doing.
        output: Name or index of the output to explain; needed where a model has several.
        layers: Names of the layers that `Explanation.nodes` is wanted for, besides the input and
            the last layer with a spatial output. Default: all for `"viterbi"`; none for
            `"posterior"`, which puts mass on nearly every unit of a network.

    Raises:
        TypeError: If `model` is no Keras model.
        UnsupportedModelError: If it is subclassed and its `call` cannot be recorded, or if it has
            several inputs.
        UnsupportedLayerError: If layers have no rule; all of them are listed.
        ValueError: If it is not built, has no such output, a limit is no positive int, or
            there is no such method.

    Example:
        >>> explainer = BacktrackExplainer(keras.applications.VGG19())
        >>> e = explainer.explain(photo)
        >>> e.plot(photo)
    """

    def __init__(
        self,
        model: keras.Model,
        top_n: int | None = 20,
        channels: int | None = 1,
        positions: int | None = 1,
        *,
        method: str = "viterbi",
        include_bias: bool = False,
        output: str | int | None = None,
        layers: Sequence[str] | None = None,
    ) -> None:
        limits = Limits(
            check_limit("top_n", top_n),
            check_limit("channels", channels),
            check_limit("positions", positions),
            bool(include_bias),
        )
        check_method(method, include_bias)
        self.model = model
        self.method = method
        self._limits = limits if method == "viterbi" else None
        self._graph = read_graph(model, output, is_known)
        check_support(self._graph)
        if len(self._graph.output_shape) != 1 or self._graph.output_shape[0] is None:
            raise UnsupportedModelError(
                "The output must have the shape (batch, classes). "
                f"Received: output shape {(None, *self._graph.output_shape)}."
            )
        numbers = {name: number for number, name in self._graph.names.items()}
        wanted = None if layers is None else [numbers[self._graph.resolve(n)] for n in layers]
        self._program = Program(self._graph, self._limits, wanted)

    def explain(self, x: Any, targets: Any = None, *, batch_size: int = 32) -> Explanation:
        """Explains the network's decisions about images.

        Args:
            x: Images as `model.predict` takes them (preprocessed as the model wants): array or
                tensor of shape (N, H, W, C), or (H, W, C) for one. Finite numbers.
            targets: What to explain: None for each image's predicted class, an int for the same
                class in all, (N,) ints, (N, K) ints for K classes of each image, or one-hot rows
                (N, classes) as floats or bools. The K classes share one forward pass.
            batch_size: How many images go through the network at once. It bounds the memory and
                does not change the result.

        Returns:
            An `Explanation` of length N, or N · K with the K of an image behind one another.

        Raises:
            TypeError: If `x` or `targets` has a wrong dtype.
            ValueError: If `x` is empty, of the wrong shape or not finite, a class does not exist,
                or the network's own output is not finite.
        """
        batch_size = check_limit("batch_size", batch_size) or len(x)
        x = check_images(x, self._graph.input_shape, self._graph.input_dtype)
        targets = check_targets(targets, len(x), self._graph.output_shape[0])
        runs = []
        for start in range(0, len(x), batch_size):
            batch = x[start : start + batch_size]
            asked = targets[start : start + batch_size]
            owner = np.repeat(np.arange(len(batch)), asked.shape[1])
            run = self._program(tf.convert_to_tensor(batch), owner, asked.reshape(-1))
            check_scores(run.scores, start + owner)
            runs.append(run)
        image = np.repeat(np.arange(len(x)), targets.shape[1])
        return Explanation.from_runs(runs, self._graph, x, image)

    __call__ = explain

    def summary(self) -> str:
        """Lists the calls between input and output and the rule that serves each.

        Returns:
            A table as text, one line per call in the order they run: the name that
            `Explanation.nodes` takes, the layer's class or the operation, the rule.
        """
        lines = [(c.name, c.kind, rule_name(c.layer)) for c in self._graph.calls]
        widths = [max(len(line[column]) for line in lines) for column in range(2)]
        return "\n".join(f"{n:{widths[0]}}  {k:{widths[1]}}  {rule}" for n, k, rule in lines)

    def __repr__(self) -> str:
        settings = {"method": repr(self.method), **(self._limits._asdict() if self._limits else {})}
        shown = ", ".join(f"{name}={value}" for name, value in settings.items())
        return f"BacktrackExplainer({self.model.name!r}, {len(self._graph.calls)} calls, {shown})"
