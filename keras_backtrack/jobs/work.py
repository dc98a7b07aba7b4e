"""The work on a part of a job: its pictures read, explained and made into tables."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ..explainer.explainer import BacktrackExplainer
from ..explanation.decisions import Decision
from ..explanation.explanation import Explanation
from ..models.networks import load_network
from ..pictures.photos import Frame, read_photo
from ..runtime.host import usable_cpus
from . import tables
from .batches import Batch, read_batches
from .settings import Settings, versions

_LONGEST_STEM = 200  # bytes of a figure's name; file systems allow 255 in all


class Explained(NamedTuple):
    """What came out of some pictures.

    Attributes:
        pictures: How many they are.
        explanations: A row for each that could be explained.
        errors: A row for each of the others, and for each whose figure could not be drawn.
    """

    pictures: int
    explanations: pa.Table
    errors: pa.Table


def joined(found: Sequence[Explained]) -> tuple[pa.Table, pa.Table]:
    """The rows of all of them: explanations and errors."""
    return (
        pa.concat_tables([each.explanations for each in found]),
        pa.concat_tables([each.errors for each in found]),
    )


class Worker:
    """A network, loaded once, that explains pictures as the settings say.

    Args:
        settings: What to do.
        threads: CPUs to use; by default all. Pictures are read and tables are made beside the
            network's work, but with a single CPU in turns with it: another's is not taken.

    Raises:
        ImportError, OSError, TypeError, ValueError: If the network cannot be loaded or explained.
    """

    def __init__(self, settings: Settings, threads: int | None = None) -> None:
        self._network = load_network(
            settings.model,
            settings.weights,
            settings.preprocess,
            settings.resize,
            settings.allow_code,
        )
        self._target = (
            None if settings.target is None else self._network.class_index(settings.target)
        )
        self._explainer = BacktrackExplainer(
            self._network.model,
            settings.top_n,
            settings.channels,
            settings.positions,
            method=settings.method,
            contrast=settings.contrast,
            down_to=settings.down_to,
        )
        self._settings = settings
        self._threads = threads or usable_cpus()
        self._stamps = settings.to_json(), versions()

    def explain(self, paths: Sequence[str], figures: Path | None = None) -> Iterator[Explained]:
        """Explains pictures, batch by batch.

        Args:
            paths: The files.
            figures: Folder for a figure of each, if any.

        Yields:
            What came out of each batch.

        Raises:
            OSError: If a figure cannot be written.
        """
        size = self._settings.batch_size
        batches = read_batches(paths, size, self._network, self._threads)
        if self._threads == 1:
            for batch in batches:
                yield self._tables(batch, self._explain(batch), figures)
            return
        # Tables are made while the network works on the next batch.
        with ThreadPoolExecutor(1) as pool:
            waiting = None
            for batch in batches:
                explained = self._explain(batch)
                if waiting is not None:
                    yield waiting.result()
                waiting = pool.submit(self._tables, batch, explained, figures)
            if waiting is not None:
                yield waiting.result()

    def _explain(self, batch: Batch) -> list[tuple[slice, Explanation]]:
        """Explanations, with the places of their pictures in the batch."""
        count = len(batch.paths)
        if not count:
            return []
        x = batch.x
        explain = partial(
            self._explainer.explain,
            targets=self._target,
            labels=self._network.classes,
            batch_size=count,
        )
        try:
            return [(slice(0, count), explain(x))]
        except ValueError:
            # Of some picture the network's answer is no number. The others shall not suffer.
            found = []
            for i in range(count):
                try:
                    found.append((slice(i, i + 1), explain(x[i : i + 1])))
                except ValueError as error:
                    batch.failed.append((batch.paths[i], str(error)))
            return found

    def _tables(
        self, batch: Batch, explained: list[tuple[slice, Explanation]], figures: Path | None
    ) -> Explained:
        rows, not_drawn = [tables.EXPLANATIONS.empty_table()], []
        for places, e in explained:
            paths, frames = batch.paths[places], batch.frames[places]
            decisions = e.decisions(frames=frames)
            rows.append(tables.explanations(paths, frames, decisions, *self._stamps))
            if figures is not None:
                found = zip(paths, frames, decisions, e.attention(), strict=True)
                for path, frame, decision, attention in found:
                    try:
                        content = _figure(path, frame, decision, attention, e.method)
                    except Exception as error:  # Whatever it is, the others shall not suffer.
                        reason = str(error) or type(error).__name__
                        not_drawn.append((path, f"The figure cannot be drawn: {reason}"))
                    else:
                        (figures / figure_name(path)).write_bytes(content)
        kept = pa.concat_tables(rows)
        errors = tables.errors([*batch.failed, *not_drawn], *self._stamps)
        return Explained(kept.num_rows + len(batch.failed), kept, errors)


def figure_name(path: str) -> str:
    """Name of the figure of a picture, which differs for pictures of the same name."""
    # A name may be no text, and too long for what is added.
    stem = os.fsencode(Path(path).stem)[:_LONGEST_STEM].decode("utf-8", "ignore")
    return f"{stem}-{sha256(os.fsencode(path)).hexdigest()[:8]}.png"


def _figure(
    path: str, frame: Frame, decision: Decision, attention: np.ndarray, method: str
) -> bytes:
    from ..explanation.on_photo import photo_row
    from ..pictures import figures

    row = photo_row(read_photo(path), frame, decision, attention, method)
    return figures.png(figures.figure([row]))
