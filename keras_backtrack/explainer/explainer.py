"""`BacktrackExplainer`: checks what comes in, runs the program, wraps what comes out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from ..checks import arguments
from ..explanation.explanation import Explanation
from ..explanation.layer_nodes import HeldNodes
from ..explanation.network import Network
from ..explanation.source import Source
from ..graph.compat import keras
from ..graph.strings import Given
from ..graph.structure import Structure
from ..graph.weights import Watch
from ..propagation.best_paths.retracing import Tracks
from ..propagation.program import Program, Run
from ..propagation.question import Question
from ..rules import Rules, read_model
from ..runtime.tensorflow import warn_without_onednn
from .batches import Batches
from .down_to import check_below_last_map, end_of_way
from .inputs import check_scores, read_inputs
from .model_checks import check_answer, check_graph
from .prepared import Prepared, activations
from .settings import (
    check_contrast,
    check_data_format,
    check_layers,
    check_limits,
    check_method,
    check_side,
)
from .targets import (
    Answers,
    check_foils,
    check_same_for_all,
    check_targets,
    highest,
    of_two_classes,
)
from .texts import check_vocabulary, with_vocabulary
from .uncopied import Uncopied


class BacktrackExplainer(Uncopied):
    """Finds the pixels that made a Keras network decide.

    The network runs once; then each decision is walked back from its output unit to the input,
    layer by layer, following the contributions that mattered most (*How You See Me*, Gandikota
    and Mishra, section III). Nothing is trained, no gradient is taken and the model is not
    changed. The model's weights are read at every call, so an explainer stays valid while the
    model goes on training; where its layers or their settings have changed it is read anew.

    Args:
        model: A built `keras.Model`. Nested models are unrolled; of a subclassed model, and of
            layers without a rule, what their `call` does is recorded.
        top_n: How many inputs of a Dense layer's unit (and of an average pooling's window) are
            followed at most; None for all with a positive contribution, as Algorithm 1 prints.
        channels: How many channels of a convolution's input are followed at most; 1 is the
            paper's text and Fig. 5, None for all is Algorithm 2 as printed.
        positions: How many positions are followed in each of those channels, or in a depthwise
            convolution's window; 1 is the paper's.
        method: Which paths are followed back. `"backtrack"`, the default, follows all of them
            while maps are small, down to the last layer with a cell to 16 pixels (the fine layer),
            and from the 100 heaviest nodes there the best ones to the pixels: `attention`,
            `saliency` and `boxes` read the fine layer, `pixels` are the ends of the walk.
            `"viterbi"` follows the best contributions only, `"posterior"` all of them down to the
            pixels, each unit's mass split in proportion over every positive contribution; in a
            network of ReLUs that is Excitation Backprop (Zhang et al., 2016), and it costs three to
            five forward passes.
        contrast: Whether what speaks against a decision counts as well, and of the places of the
            last map only what is ahead of a bar goes on: maps then differ from class to class. A
            number is the bar as a share of the mean over places: 1 shows only what sets the class
            off, 0 whole objects; True is 0.25. False asks the plain question, why the unit is high.
            Sequences and volumes have places, too; in a table what speaks against is taken off.
            method="viterbi", contrast=False is the paper, Algorithms 1 to 3 to the letter.
        down_to: Name of a layer where the way back ends, so that what is below costs nothing: a map
            that everything comes through on its way to the input, such as the last one's.
            `attention`, `saliency` and `boxes` read it, unless the fine layer is above, and
            `pixels` are the middles of its cells. None goes down to the input.
        include_bias: Whether the bias is added to each product before the test for a positive
            contribution, as Algorithms 1 and 2 print. By default it is no input's doing.
        output: Name or index of the output to explain; needed where a model has several.
        layers: Names of the layers that `Explanation.nodes` is wanted for, besides the input, the
            fine layer and the last map. Default: all that the best paths come through; none of
            those that all paths do, which put mass on nearly every unit.
        fallback: `"gradient"` takes a layer without a rule as the linear function it is near its
            input: its contributions are its local gradient times its input, the `top_n` largest of
            them. That is exact for every linear layer, and slow, since it takes a gradient for each
            node. None refuses such layers.
        data_format: `"channels_first"` where inputs are (channels, rows, columns) and neither
            layers nor a permutation in the model say so: maps are of rows and columns.
        vocabulary: Where the input is token numbers their words, for `Explanation.evidence`: entry
            i is that of number i. For several inputs a dict of such lists by name.

    Raises:
        TypeError: If `model` is no Keras model.
        UnsupportedModelError: If it is subclassed and its `call` cannot be recorded, a layer is
            called with training=True, or layers compute in float64; by `explain` if what was read
            answers otherwise than the model. If it would run in bfloat16 under
            Intel Extension for TensorFlow on a CPU without AVX512, where the process would die.
        UnsupportedLayerError: If layers have no rule; all of them are listed.
        ValueError: If it is not built, has no such output, a limit is no positive int, there is no
            such method, or not everything comes through `down_to`.

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
        method: str = "backtrack",
        contrast: bool | float = True,
        down_to: str | None = None,
        include_bias: bool = False,
        output: str | int | None = None,
        layers: Sequence[str] | None = None,
        fallback: str | None = None,
        data_format: str | None = None,
        vocabulary: Any = None,
    ) -> None:
        self._limits = check_limits(top_n, channels, positions, include_bias)
        self.method = check_method(method, include_bias)
        self.contrast = check_contrast(contrast, include_bias)
        warn_without_onednn()
        self.model = model
        self._fallback = arguments.one_of("fallback", fallback, ("gradient", None))
        self._reading = output, check_data_format(data_format), self._fallback
        self._layers, self._down_to = check_layers(layers), down_to
        self._read()
        self._vocabulary = check_vocabulary(vocabulary, self._graph)

    def _read(self) -> None:
        self._graph = graph = read_model(self.model, *self._reading)
        check_graph(graph)
        rules = Rules(self._fallback)
        rules.check(graph)
        self._watch, self._structure = Watch(graph.derived_from), Structure(self.model)
        wanted = None
        if self._layers is not None:
            wanted = [graph.numbers[graph.resolve(name)] for name in self._layers]
        self._rules = rules
        until = None if self._down_to is None else end_of_way(graph, self._down_to)
        self._program = Program(
            graph,
            rules,
            self._limits,
            method=self.method,
            contrast=self.contrast,
            wanted=wanted,
            until=until,
        )
        if until is not None and self.contrast is not None:
            check_below_last_map(graph, until, self._program.landmarks)
        self._tracks = Tracks(graph, rules, self._program.walk)
        self._is_checked = False

    def explain(
        self,
        x: Any,
        targets: Any = None,
        *,
        versus: Any = None,
        side: str | None = None,
        labels: Sequence[str] | None = None,
        top: int | None = None,
        batch_size: int = 32,
        progress: bool = False,
    ) -> Explanation:
        """Explains the network's decisions.

        Args:
            x: Input as `model.predict` takes it (preprocessed as the model wants), finite numbers
                or, for a model of them, texts: an array or tensor (N, ...), such as (N, H, W, C)
                images, or a list of texts; for one alone the batch axis may be left out. For a
                model with several inputs a list of these, or a dict by the inputs' names. What is
                on disk (`np.memmap`) is read a batch at a time. Or a `tf.data.Dataset` of batches,
                as `stream` takes it; its pictures are not kept.
            targets: What to explain: None for each image's predicted class, an int for the same
                class in all, (N,) ints, (N, K) ints for K classes of each image, or one-hot rows
                (N, classes) as floats or bools. The K classes share one forward pass. Where the
                output is a map of classes, such as (N, H, W, classes), a class is explained
                everywhere that it is the predicted one; where it has rows, such as a detector's
                (N, boxes, classes), a target is a row, and its largest value is explained. A bool
                array (N, ...) or (...) of the output's shape is a mask of units that are explained
                together.
                Where the output is one unit that ends in a sigmoid, 0 is "no" and 1 is "yes", and
                None is the side that the network is on.
                Classes can be given by name where there are `labels`.
            versus: The foil: why the target and not this class, given in the same ways, one for
                all images or (N,). What is walked back is the difference of the two, behind a
                soft-max of their logits: at the last linear layer the contributions are
                (W_a - W_b)·A.
            side: `"high"` asks why the target is as high as it is, `"low"` why it is as low. None
                is `"high"`, but where the output is a single unit the side that it is on: low where
                its value behind the output's activation is below 0.
            labels: Names of the classes, for targets by name and for figures; two where the output
                is one unit that ends in a sigmoid. A name may be several with ", " between, such as
                "tabby, tabby cat".
            top: In place of targets: explain so many of each image's highest outputs, the highest
                first, on one forward pass.
            batch_size: How many images go through the network at once. It bounds the memory and
                does not change the result.
            progress: Whether to show a progress bar.

        Returns:
            An `Explanation` of length N, or N · K with the K of an image behind one another.

        Raises:
            TypeError: If `x` or `targets` has a wrong dtype, or names have no `labels`.
            ValueError: If `x` is empty, of the wrong shape or not finite, a class does not exist
                or is its own foil, `labels` are not as many as classes, or the network's own output
                is not finite.
            RuntimeError: If it is called inside of a tf.function.
        """
        if top is not None:
            targets = highest(top, targets)
        if isinstance(x, tf.data.Dataset):
            asked = {"versus": versus, "side": side, "labels": labels}
            stream = self.stream(x, targets, **asked, batch_size=batch_size, progress=progress)
            return Explanation.joined(list(stream))
        batches = self._batches(x, batch_size)
        walks = (partial(self._program, batch) for batch in batches)
        return self._explained(batches, walks, targets, versus, side, labels, progress)

    __call__ = explain

    def stream(
        self,
        data: Any,
        targets: Any = None,
        *,
        versus: Any = None,
        side: str | None = None,
        labels: Sequence[str] | None = None,
        batch_size: int = 32,
        progress: bool = False,
    ) -> Iterator[Explanation]:
        """Explains batch after batch, holding no more than one: for more data than memory.

        Args:
            data: A `tf.data.Dataset`, or anything else that yields batches: each `x` as for
                `explain` or, as for `model.fit`, a tuple that begins with it.
            targets, versus: As for `explain`, the same for all images: None, a class, or a mask of
                units without the batch axis.
            side, labels, batch_size: As for `explain`; larger batches are split.
            progress: Whether to show a progress bar.

        Yields:
            For each batch an `Explanation`; its `image_index` counts from the batch's first.

        Raises:
            ValueError, TypeError: As `explain`, when it comes to a batch; or if there is none.
        """
        check_same_for_all(targets)
        check_same_for_all(versus)
        if not isinstance(data, Iterable) or getattr(data, "ndim", 1) == 0:
            raise TypeError(
                f"`data` must be a tf.data.Dataset, or yield batches otherwise. Received: {data!r}."
            )
        is_empty = True
        with tqdm(unit=" images", disable=not arguments.truth("progress", progress)) as bar:
            for element in data:
                x = element[0] if isinstance(element, tuple) else element
                asked = {"versus": versus, "side": side, "labels": labels}
                e = self.explain(x, targets, **asked, batch_size=batch_size)
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
        arguments.whole_number("memory", memory)
        batches = self._batches(x, batch_size)
        kept = activations(self._program.forward, batches, memory)
        walks = [partial(self._program.back, each) for each in kept]
        explained = partial(self._explained, batches, walks)
        watches = Watch(self.model.weights), self._structure
        return Prepared(explained, watches, sum(each.nbytes for each in kept))

    def _batches(self, x: Any, batch_size: int | None) -> Batches:
        return Batches(self._given(x), self._graph, batch_size)

    def _given(self, x: Any) -> Given:
        """What a user gave, checked, for the model with the weights that it has now."""
        if self._watch.changed() or self._structure.changed():
            self._read()
        return with_vocabulary(read_inputs(x, self._graph), self._graph, self._vocabulary)

    def _explained(
        self,
        batches: Batches,
        walks: Iterable[Callable[[np.ndarray, Question], Run]],
        targets: Any,
        versus: Any,
        side: str | None,
        labels: Sequence[str] | None,
        progress: bool = False,
    ) -> Explanation:
        """Explains batch after batch.

        `walks` are for each batch what takes image indices and a question, and decisions back.
        """
        answers = Answers.of(self._graph, batches.first_image)
        labels = answers.labels(labels)
        asked = check_targets(targets, batches.images, answers, labels, versus, check_side(side))
        image = None if self._is_checked else batches.row_of_own()
        if image is not None:
            check_answer(self.model, self._graph, image)
            self._is_checked = True
        runs = []
        is_shown = arguments.truth("progress", progress)
        with tqdm(total=batches.images, unit=" images", disable=not is_shown) as bar:
            for (start, stop), walk in zip(batches.bounds, walks, strict=True):
                image_index, question = asked.of_images(start, stop)
                run = walk(image_index, question)
                check_scores(run.scores, start + image_index, run.overflown)
                if len(question.unit) > 1:
                    check_foils(run.targets, run.versus, start)
                runs.append(of_two_classes(run) if answers.is_yes_or_no else run)
                bar.update(stop - start)
        source = self._source(runs, batches, labels, answers.meant_by(asked.question))
        return Explanation.from_runs(runs, source, asked.image)

    def _source(
        self, runs: Sequence[Run], given: Batches, labels: tuple[str, ...] | None, meaning: str
    ) -> Source:
        names, fine = self._graph.names, self._program.fine_layers
        return Source(
            HeldNodes.from_runs(runs, self._graph),
            *(given.x, labels, meaning, self.method, self.contrast),
            fine={names[n]: names[f] for n, f in fine.items()},
            channels_first=[names[n] for n in sorted(self._graph.channels_first)],
            ends={names[n]: names[e] for n, e in self._program.ends.items()},
            words={name: dict(enumerate(rows)) for name, rows in given.words.items()},
            network=self.network,
        )

    @property
    def network(self) -> Network:
        """What explanations run again: see `Explanation.explained_by`."""
        maps = self._program.landmarks.last_maps.values() if self.contrast is not None else ()
        return Network(
            *(self._graph, self._tracks, frozenset(maps) or {self._graph.output}),
            settings=(self.method, self.contrast),
            explain=self.explain,
            checked=self._given,
        )

    @property
    def output_place(self) -> int:
        """Which of the model's outputs is explained."""
        return self._graph.place

    def summary(self) -> str:
        """Lists the calls between input and output and the rule that serves each.

        Returns:
            A table as text, one line per call in the order they run: the name that
            `Explanation.nodes` takes, the layer's class or the operation, the rule.
        """
        return self._rules.table(self._graph)

    def __repr__(self) -> str:
        settings = {"method": repr(self.method), "contrast": self.contrast or False}
        if self.method != "posterior":
            settings |= self._limits._asdict()
        shown = ", ".join(f"{name}={value}" for name, value in settings.items())
        return f"BacktrackExplainer({self.model.name!r}, {len(self._graph.calls)} calls, {shown})"
