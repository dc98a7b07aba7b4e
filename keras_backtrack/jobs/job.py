"""A job from question to answer: which pictures, what is left of them, the engine."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from .output import Output
from .pictures import find_pictures
from .results import ResultsError
from .settings import Settings


class Summary(NamedTuple):
    """What there is in the end.

    Attributes:
        explained: Rows of explanations in the folder.
        failed: Rows of errors.
        left: Pictures of parts that are not done, which other runs have to do.
        rate: Pictures a second of this run, from the first on that was done; None where it did no
            more than a batch.
    """

    explained: int
    failed: int
    left: int
    rate: float | None


def run(
    images: str,
    folder: Path,
    settings: Settings,
    engine: Callable[[Settings], Any],
    shard: tuple[int, int] = (0, 1),
) -> Summary:
    """Explains pictures into a folder, or what is left of them.

    Args:
        images: As `find_pictures` takes it.
        folder: For the results.
        settings: What is done to every picture.
        engine: Makes the engine: `local.Engine` or `cluster.Engine`.
        shard: The number of a share, from 0 on, and how many shares there are.

    Raises:
        ResultsError: If the folder holds something else or cannot be written, or no picture at all
            could be explained.
        ImportError, OSError, TypeError, ValueError: If there are no pictures, or the network cannot
            be loaded or explained.
    """
    output = Output(folder, find_pictures(images), settings)
    parts, rate = output.missing(shard), None
    if parts:
        # A network that cannot be explained leaves no folder behind.
        made = engine(settings)
        try:
            output.begin()
            with output.alone(shard), _Progress(output, parts, shard) as progress:
                made.run(output, parts, progress.done)
                rate = progress.rate
        except OSError as error:
            raise ResultsError(
                f"The results cannot be written: {error}. What is there is whole, and the same "
                f"line goes on from there. Received: {str(folder)!r}."
            ) from error
    explained, failed = output.rows("explanations"), output.rows("errors")
    left = output.count - explained - failed
    if not explained and not left:
        raise ResultsError(
            f"None of the {failed} pictures could be explained; {str(folder / 'errors')!r} says "
            f"why. Received: {images!r}."
        )
    return Summary(explained, failed, left, rate)


class _Progress:
    """A bar on the terminal, a line now and then in the log of a job."""

    def __init__(self, output: Output, parts: list[int], shard: tuple[int, int]) -> None:
        mine = range(shard[0], output.parts, shard[1])
        total, left = (sum(len(output.pictures_of(p)) for p in some) for some in (mine, parts))
        self._bar = tqdm(
            total=total,
            initial=total - left,
            unit="picture",
            mininterval=0.5 if sys.stderr.isatty() else 30,
        )
        self._first: tuple[float, int] | None = None
        self.rate: float | None = None

    def done(self, count: int) -> None:
        """Says that so many more pictures are done."""
        self._bar.update(count)
        if self._first is None:  # It waited for TensorFlow to compile.
            self._first = time.perf_counter(), self._bar.n
        elif seconds := time.perf_counter() - self._first[0]:
            self.rate = (self._bar.n - self._first[1]) / seconds

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
