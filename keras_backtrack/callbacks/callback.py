"""What a network looks at while it trains."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from ..checks import arguments
from ..explainer.explainer import BacktrackExplainer
from ..explainer.settings import check_side
from ..explanation.explanation import Explanation
from ..graph.compat import keras
from ..graph.models import check_model
from ..pictures.class_names import check_labels
from .masks import check_masks, on_mask
from .record import Record

if TYPE_CHECKING:
    from . import filmstrip

__all__ = ["BacktrackCallback", "Record"]


class BacktrackCallback(keras.callbacks.Callback):
    """Explains a few pictures with the current weights, again and again during `model.fit`.

    The first time is before training, so that one sees what that changes; a model without weights
    until it is fed is explained later. The callback changes nothing about the training: the weights
    after `fit` are the same, bit by bit, with and without it. Its program is traced once, at the
    first time.

    Args:
        images: What to explain: as for `BacktrackExplainer.explain`, or a `tf.data.Dataset` of
            batches of images or (images, ...), such as the validation data, of which the first
            `count` images are taken.
        targets: What to explain of them, as for `BacktrackExplainer.explain`: None for the class
            predicted at the time, class names where there are `labels`.
        every: Explain every so many epochs (or batches).
        log_dir: Folder for a figure (PNG) of each time; None to keep the history only.
        per: `"epoch"` or `"batch"`: what `every` counts.
        tensorboard: Whether to write summaries for TensorBoard to `log_dir` as well: attention,
            pixels and boxes over the pictures, and the averages in `history`.
        masks: (N, H, W) bool, where the object is in each decision's picture, to follow how much
            of the mass is there.
        labels: Names of the classes.
        versus, side: As for `BacktrackExplainer.explain`.
        photos: What to draw on, (N images, H, W, 3 or 1), uint8 or floats in [0, 1]. Default: the
            images, stretched to the range of colours.
        count: How many images are taken of a data set.
        **settings: For `BacktrackExplainer`, such as `method="posterior"`.

    Attributes:
        records: A `Record` for each time.
        history: Averages over the decisions by name, a list with one number for each time:
            `"step"`, `"lost mass"`, `"moved"`, and with masks `"mass on mask"`.
        explainer: The `BacktrackExplainer`; None before the first time.

    Raises:
        ImportError: If TensorBoard's summaries are wanted and it is not installed.
        OSError: If `log_dir` cannot be written to.
        TypeError, ValueError: If an argument is wrong; those about the model when it first runs.

    Example:
        >>> watch = BacktrackCallback(photos, every=2, log_dir="logs", tensorboard=True)
        >>> model.fit(data, epochs=20, callbacks=[watch])
        >>> watch.plot().savefig("strip.png")
        >>> watch.animate("training.gif")
    """

    def __init__(
        self,
        images: Any,
        targets: Any = None,
        every: int = 1,
        log_dir: str | Path | None = None,
        *,
        per: str = "epoch",
        tensorboard: bool = False,
        masks: Any = None,
        labels: Sequence[str] | None = None,
        versus: Any = None,
        side: str | None = None,
        photos: Any = None,
        count: int = 8,
        **settings: Any,
    ) -> None:
        super().__init__()
        _check_settings(settings)
        self._per = arguments.one_of("per", per, ("epoch", "batch"))
        self._every = arguments.whole_number("every", every)
        count = arguments.whole_number("count", count)
        if arguments.truth("tensorboard", tensorboard) and log_dir is None:
            raise ValueError("TensorBoard's summaries need a folder. Received: log_dir=None.")
        if tensorboard and not hasattr(tf.summary, "image"):
            raise ImportError(
                "TensorBoard's summaries need the package tensorboard, which newer TensorFlow does "
                "not bring: pip install 'keras-backtrack[tensorboard]'. Received: tensorboard=True."
            )
        self._images = _first(images, count) if isinstance(images, tf.data.Dataset) else images
        self._is_of_batches = isinstance(images, tf.data.Dataset)
        self._targets = targets
        self._photos = None if photos is None else arguments.numbers("photos", photos)
        labels = None if labels is None else check_labels(labels)
        self._asked = {"versus": versus, "side": check_side(side), "labels": labels}
        self._masks = None if masks is None else check_masks(masks, self._images, targets)
        self._log_dir = None
        if log_dir is not None:
            self._log_dir = _writable(arguments.file("log_dir", log_dir))
        self._settings = settings
        self._writer = tf.summary.create_file_writer(str(log_dir)) if tensorboard else None
        self._seen = 0
        self._last: Explanation | None = None
        self._attention: np.ndarray | None = None
        self.explainer: BacktrackExplainer | None = None
        self.records: list[Record] = []
        self.history: dict[str, list[float]] = {}

    def set_model(self, model: Any) -> None:
        """Takes the model that `fit` trains.

        Raises:
            TypeError: If it is of another Keras.
        """
        check_model(model)
        super().set_model(model)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Explains, unless an earlier training goes on."""
        if not self.records and self.model.built:
            self.explain()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Explains, if it is time to."""
        if self._per == "epoch":
            self._count()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Explains, if it is time to."""
        if self._per == "batch":
            self._count()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Sees that all summaries are in their file."""
        if self._writer is not None:
            self._writer.flush()

    def _count(self) -> None:
        self._seen += 1
        if self._seen % self._every == 0:
            self.explain()

    def explain(self) -> Record:
        """Explains the pictures with the weights as they are and adds that to the history."""
        if self.explainer is None or self.explainer.model is not self.model:
            self.explainer = BacktrackExplainer(self.model, **self._settings)
            graph = self.explainer.network.graph
            axes = graph.specs[graph.inputs[0]].shape.rank
            if self._is_of_batches and np.ndim(self._images) != axes:
                raise ValueError(
                    "`images` must be a data set of batches, as data.batch(8) makes them. "
                    f"Received: elements that begin with shape {np.shape(self._images)}."
                )
        e = self.explainer.explain(self._images, self._targets, **self._asked)
        attention = e.attention()
        record = self._record(e, attention)
        if self._log_dir is not None:
            figure = e.plot(self._photos)
            figure.savefig(self._log_dir / f"{self._per}-{self._seen:04d}.png")
        if self._writer is not None:
            self._summarise(self._writer, e, attention, record)
        return record

    def _record(self, e: Explanation, attention: np.ndarray) -> Record:
        moved = np.full(len(e), np.nan, np.float32)
        if self._attention is not None:
            moved = _moved(self._attention, attention)
        found = None if self._masks is None else on_mask(e, self._masks)
        record = Record(self._seen, e.decisions(), moved, found)
        self._last, self._attention = e, attention
        self.records.append(record)
        averages = {"step": record.step, "lost mass": e.lost.mean(), "moved": moved.mean()}
        if found is not None:
            averages["mass on mask"] = found.mean()
        for name, value in averages.items():
            self.history.setdefault(name, []).append(float(value))
        return record

    def _summarise(
        self, writer: Any, e: Explanation, attention: np.ndarray, record: Record
    ) -> None:
        from ..pictures import overlays

        pictures = e.pictures(self._photos)
        layers = {
            "attention": map(overlays.with_attention, pictures, attention),
            "pixels": map(overlays.with_pixels, pictures, e.pixels, e.mass),
            "boxes": map(overlays.with_boxes, pictures, [d.boxes for d in record.decisions]),
        }
        with writer.as_default(step=self._seen):
            for name, drawn in layers.items():
                tf.summary.image(f"backtrack/{name}", np.stack(list(drawn)), max_outputs=len(e))
            for name, values in self.history.items():
                if name != "step" and np.isfinite(values[-1]):
                    tf.summary.scalar(f"backtrack/{name.replace(' ', '_')}", values[-1])

    def plot(self, at_most: int = 10) -> Any:
        """Draws a film strip: the attention on each picture, training from left to right.

        Args:
            at_most: How many times to show, evenly spread, with the first and the last.

        Returns:
            A `matplotlib.figure.Figure`.

        Raises:
            ValueError: If nothing was explained yet.
        """
        from . import filmstrip

        at_most = arguments.whole_number("at_most", at_most)
        return filmstrip.figure(self._frames(), self._per, self.history, at_most)

    def animate(self, path: str | Path = "training.gif", fps: float = 2.0) -> Path:
        """Writes the film strip as a moving picture.

        Args:
            path: The file, a GIF.
            fps: Times shown in a second.

        Returns:
            The path.

        Raises:
            ValueError: If nothing was explained yet, or the path does not end in .gif.
        """
        from . import filmstrip

        path, fps = arguments.file("path", path), arguments.number("fps", fps, least=0.1, most=100)
        frames = self._frames()
        with arguments.accessed(path):
            return filmstrip.write_gif(frames, self._per, path, fps)

    def _frames(self) -> "filmstrip.Frames":
        """What is drawn, with the method's own Gaussian."""
        from . import filmstrip

        if self._last is None:
            raise ValueError(
                "There is nothing to draw before the first explanation. Received: no records."
            )
        pictures = self._last.pictures(self._photos)
        return filmstrip.Frames(pictures, self.records, self._last.sigma())


def _check_settings(settings: dict[str, Any]) -> None:
    """Raises TypeError for what `BacktrackExplainer` does not take, before there is a model."""
    known = [*inspect.signature(BacktrackExplainer).parameters][1:]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise TypeError(
            f"`settings` are those of BacktrackExplainer, {known}. Received: {unknown}."
        )


def _first(data: tf.data.Dataset, count: int) -> np.ndarray:
    """The first images of a data set of batches."""
    found, left = [], count
    for element in data:
        batch = element[0] if isinstance(element, tuple) else element
        if not tf.is_tensor(batch) or not batch.shape.rank:
            raise TypeError(
                "`images` must be a data set of batches of images, or of (images, ...). "
                f"Received: {data.element_spec}."
            )
        found.append(batch := np.asarray(batch)[:left])
        left -= len(batch)
        if left <= 0:
            break
    if not found:
        raise ValueError("`images` must hold at least one batch. Received: an empty data set.")
    return np.concatenate(found)


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise type(error)(
            f"`log_dir` must be a folder that can be written to ({error.strerror}). "
            f"Received: {str(folder)!r}."
        ) from None
    return folder


def _moved(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Total variation distance of (N, H, W) attention maps, each as a distribution."""

    def shares(maps: np.ndarray) -> np.ndarray:
        total = maps.sum(axis=(1, 2), keepdims=True)
        return np.divide(maps, total, out=np.zeros_like(maps), where=total > 0)

    return np.abs(shares(now) - shares(before)).sum(axis=(1, 2)) / 2
