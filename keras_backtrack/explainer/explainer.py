"""`BacktrackExplainer`: checks what comes in, runs the program, wraps what comes out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from ..explanation.explanation import Explanation
from ..graph.compat import keras
from ..graph.weights import Watch
from ..pictures.class_names import check_labels
from ..propagation.activations import Activations
from ..propagation.best_paths.best_paths import BestPaths
from ..propagation.best_paths.retracing import Tracks
from ..propagation.limits import Limits
from ..propagation.program import Program, Run
from ..propagation.question import Question
from ..rules import Rules, read_model
from ..runtime.tensorflow import warn_without_onednn
from .batches import Batches
from .inputs import check_inputs, check_scores
from .model_checks import check_bfloat16, check_recording, check_rows
from .prepared import Prepared
from .settings import check_layers, check_limit, check_method
from .targets import check_foils, check_same_for_all, check_targets, highest


class BacktrackExplainer:
    """Finds the pixels that made a Keras network decide.

    The network runs once; then each decision is walked back from its output unit to the input,
    layer by layer, following the contributions that mattered most (*How You See Me*, Gandikota
    and Mishra, section III). Nothing is trained, no gradient is taken and the model is not
    changed. The model's weights are read at every call, so an explainer stays valid while the
    model goes on training.

    Args:
        model: A built `keras.Model`. Nested models are unrolled; of a subclassed model, and of
            layers without a rule, what their `call` does is recorded.
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
            it is Excitation Backprop (Zhang et al., 2016). `"contrastive"` follows all of them as
            well, and what speaks against the decision with mass below 0: what is left in the
            pixels is what speaks for this class rather than for any. `Explanation.lost` is the
            rest, most of the mass as a rule.
        include_bias: Whether the bias is added to every product before the test for a positive
            contribution, as Algorithms 1 and 2 print. By default a bias is no input's doing.
        output: Name or index of the output to explain; needed where a model has several.
        layers: Names of the layers that `Explanation.nodes` is wanted for, besides the input and
            the last layer with a spatial output. Default: all for `"viterbi"`; none for the
            other methods, which put mass on nearly every unit of a network.
        fallback: `"gradient"` takes a layer without a rule as the linear function it is near its
            input: its contributions are its local gradient times its input, the `top_n` largest of
            them. That is exact for every linear layer, and slow, since it takes a gradient for each
            node. None refuses such layers.

    Raises:
        TypeError: If `model` is no Keras model.
        UnsupportedModelError: If it is subclassed and its `call` cannot be recorded; by `explain`
            if the recording answers otherwise than the model. If it would run in bfloat16 under
            Intel Extension for TensorFlow on a CPU without AVX512, where the process would die.
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
        fallback: str | None = None,
    ) -> None:
        limits = Limits(
            check_limit("top_n", top_n),
            check_limit("channels", channels),
            check_limit("positions", positions),
            bool(include_bias),
        )
        check_method(method, include_bias)
        warn_without_onednn()
        self.model = model
        self.method = method
        self._limits = limits if method == "viterbi" else None
        if fallback not in (None, "gradient"):
            raise ValueError(f"`fallback` must be 'gradient' or None. Received: {fallback!r}.")
        self._fallback = fallback
        self._output = output
        self._layers = check_layers(layers)
        self._read()

    def _read(self) -> None:
        self._graph = graph = read_model(self.model, self._output)
        check_bfloat16(any(spec.dtype == tf.bfloat16 for spec in graph.specs.values()))
        rules = Rules(self._fallback)
        rules.check(graph)
        self._watch = Watch(graph.derived_from)
        numbers = {name: number for number, name in graph.names.items()}
        wanted = None
        if self._layers is not None:
            wanted = [numbers[graph.resolve(name)] for name in self._layers]
        self._rules = rules
        contrast = self.method == "contrastive"
        self._program = Program(graph, rules, self._limits, contrast=contrast, wanted=wanted)
        paths = self._program.paths
        self._tracks = Tracks(graph, rules, paths if isinstance(paths, BestPaths) else None)
        self._is_checked = False

    def explain(
        self,
        x: Any,
        targets: Any = None,
        *,
        labels: Sequence[str] | None = None,
        top: int | None = None,
        batch_size: int = 32,
        progress: bool = False,
    ) -> Explanation:
        """Explains the network's decisions.

        Args:
            x: Input as `model.predict` takes it (preprocessed as the model wants), finite numbers:
                an array or tensor (N, ...), such as (N, H, W, C) images; for one alone the batch
                axis may be left out. For a model with several inputs a list of these, or a dict by
                the inputs' names. What is on disk (`np.memmap`) is read a batch at a time. Or a
                `tf.data.Dataset` of batches, as `stream` takes it; its pictures are not kept.
            targets: What to explain: None for each image's predicted class, an int for the same
                class in all, (N,) ints, (N, K) ints for K classes of each image, or one-hot rows
                (N, classes) as floats or bools. The K classes share one forward pass. Where the
                output has more axes than classes, such as (N, H, W, classes), ints are row-major
                units of one row (`np.ravel_multi_index`), and a bool array (N, ...) or (...) of
                the output's shape is a mask of units that are explained together.
                A tuple of two asks why the first and not the second, its foil:
                `("tabby", "tiger cat")`, or (N,) of them on either side, `([281, 5], [282, 7])`,
                None being the predicted class.
                What is walked back is the difference of the two, behind a soft-max of their logits:
                at the last linear layer the contributions are (W_a - W_b)·A. Only a tuple is such
                a pair; a list of two is a class for each of two images.
                Classes can be given by name where there are `labels`.
            labels: Names of the classes, for targets by name and for figures. A name may be
                several with ", " between, such as "tabby, tabby cat".
            top: In place of targets: explain so many of each image's highest outputs, the highest
                first, on one forward pass.
            batch_size: How many images go through the network at once. It bounds the memory and
                does not change the result.
            progress: Whether to show a progress bar.

        Returns:
            An `Explanation` of length N, or N · K with the K of an image behind one another.

        Raises:
            TypeError: If `x` or `targets` has a wrong dtype, or there are names without `labels`.
            ValueError: If `x` is empty, of the wrong shape or not finite, a class does not exist
                or is its own foil, `labels` are not as many as classes, or the network's own output
                is not finite.
        """
        if top is not None:
            targets = highest(top, targets)
        if isinstance(x, tf.data.Dataset):
            stream = self.stream(
                x, targets, labels=labels, batch_size=batch_size, progress=progress
            )
            return Explanation.joined(list(stream))
        batches = self._batches(x, batch_size)
        walks = (partial(self._program, batch) for batch in batches)
        return self._explained(batches, walks, targets, labels, progress)

    __call__ = explain

    def stream(
        self,
        data: Any,
        targets: Any = None,
        *,
        labels: Sequence[str] | None = None,
        batch_size: int = 32,
        progress: bool = False,
    ) -> Iterator[Explanation]:
        """Explains batch after batch, holding no more than one: for more data than memory.

        Args:
            data: A `tf.data.Dataset`, or anything else that yields batches: each `x` as for
                `explain` or, as for `model.fit`, a tuple that begins with it.
            targets: As for `explain`, the same for all images: None, a class, a tuple of two
                classes, or a mask of units without the batch axis.
            labels, batch_size: As for `explain`; larger batches are split.
            progress: Whether to show a progress bar.

        Yields:
            For each batch an `Explanation`; its `image_index` counts from the batch's first.

        Raises:
            ValueError, TypeError: As `explain`, when it comes to a batch; or if there is none.
        """
        check_same_for_all(targets)
        if not isinstance(data, Iterable):
            raise TypeError(
                f"`data` must be a tf.data.Dataset, or yield batches otherwise. Received: {data!r}."
            )
        is_empty = True
        with tqdm(unit=" images", disable=not progress) as bar:
            for element in data:
                x = element[0] if isinstance(element, tuple) else element
                e = self.explain(x, targets, labels=labels, batch_size=batch_size)
                is_empty = False
                bar.update(int(e.image_index[-1]) + 1)
                yield e
        if is_empty:
            raise ValueError(f"`data` must yield at least one batch. Received: {data!r}.")

    def prepare(self, x: Any, *, batch_size: int = 32, memory: int = 2**30) -> Prepared:
        """Runs the network now, so that explaining costs only the walk, again and again.

        Args:
            x: As for `explain`.
            batch_size: How many images go through the network at once.
            memory: How many bytes the activations that are kept may take.

        Returns:
            A `Prepared`; `prepared.explain(targets)` is `explain(x, targets)`.

        Raises:
            ValueError: As `explain`; or if the activations would take more than `memory`.

        Example:
            >>> prepared = explainer.prepare(photo)
            >>> for target in range(1000):
            ...     e = prepared.explain(target)
        """
        if check_limit("memory", memory) is None:
            raise ValueError(f"`memory` must be a number of bytes. Received: {memory!r}.")
        batches = self._batches(x, batch_size)
        kept: list[Activations] = []
        for batch in batches:
            kept.append(self._program.forward(batch))
            if len(kept) == 1:
                needed = kept[0].nbytes * batches.images // len(batch[0])
                if needed > memory:
                    raise ValueError(
                        f"The activations of {batches.images} image(s) take {needed:,} bytes, "
                        "which must not be more than `memory`: prepare fewer, or allow more. "
                        f"Received: memory={memory:,}."
                    )
        walks = [partial(self._program.back, each) for each in kept]
        explained = partial(self._explained, batches, walks)
        return Prepared(explained, Watch(self.model.weights), sum(each.nbytes for each in kept))

    def _batches(self, x: Any, batch_size: int | None) -> Batches:
        """What a user gave, checked, for the model with the weights that it has now."""
        if self._watch.changed():
            self._read()
        names = [self._graph.names[number] for number in self._graph.inputs]
        specs = [self._graph.specs[number] for number in self._graph.inputs]
        return Batches(check_inputs(x, names, specs), specs, batch_size)

    def _explained(
        self,
        batches: Batches,
        walks: Iterable[Callable[[np.ndarray, Question], Run]],
        targets: Any,
        labels: Sequence[str] | None,
        progress: bool = False,
    ) -> Explanation:
        """Explains batch after batch.

        Args:
            batches: The input.
            walks: For each batch what takes image indices and a question, and decisions back.
            targets, labels, progress: As for `explain`.
        """
        shape = self._shape_of_output(batches)
        labels = None if labels is None else check_labels(labels, shape)
        asked = check_targets(targets, batches.images, shape, labels)
        if not self._is_checked:
            check_rows(self._graph, batches.first_image())
        runs = []
        with tqdm(total=batches.images, unit=" images", disable=not progress) as bar:
            for (start, stop), walk in zip(batches.bounds, walks, strict=True):
                image_index, question = asked.of_images(start, stop)
                run = walk(image_index, question)
                check_scores(run.scores, start + image_index)
                if len(question.unit) > 1:
                    check_foils(run.targets, run.versus, start)
                if not self._is_checked and self._graph.is_recorded:
                    image, place = batches.first_image(), self.output_place
                    check_recording(self.model, place, image, question, run.scores[0])
                self._is_checked = True
                runs.append(run)
                bar.update(stop - start)
        graph, tracks, method, x = self._graph, self._tracks, self.method, batches.x
        return Explanation.from_runs(
            runs, graph, tracks, x, asked.image, labels, method, self.explain
        )

    @property
    def output_place(self) -> int:
        """Which of the model's outputs is explained."""
        return self._graph.place

    def _shape_of_output(self, batches: Batches) -> tuple[int, ...]:
        """Without the batch axis, for this input."""
        shape = tuple(self._graph.specs[self._graph.output].shape[1:])
        if None not in shape:
            return shape
        tensors = self._graph.replay(batches.first_image())
        return tuple(tensors[self._graph.output].shape[1:])

    def summary(self) -> str:
        """Lists the calls between input and output and the rule that serves each.

        Returns:
            A table as text, one line per call in the order they run: the name that
            `Explanation.nodes` takes, the layer's class or the operation, the rule.
        """
        lines = [(c.name, c.kind, self._rules.name(c)) for c in self._graph.calls]
        widths = [max(len(line[column]) for line in lines) for column in range(2)]
        return "\n".join(f"{n:{widths[0]}}  {k:{widths[1]}}  {rule}" for n, k, rule in lines)

    def __repr__(self) -> str:
        settings = {"method": repr(self.method), **(self._limits._asdict() if self._limits else {})}
        shown = ", ".join(f"{name}={value}" for name, value in settings.items())
        return f"BacktrackExplainer({self.model.name!r}, {len(self._graph.calls)} calls, {shown})"
