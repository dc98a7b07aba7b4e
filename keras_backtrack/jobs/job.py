"""A job from question to answer: which pictures, what is left of them, the engine."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .output import Output
from .pictures import find_pictures
from .progress import Progress
from .results import ResultsError
from .settings import Settings


class Summary(NamedTuple):
    """What there is in the end.

    Attributes:
        explained: Rows of explanations in the folder.
        failed: Pictures that could not be.
        not_drawn: Pictures that were, but whose figure could not be drawn.
        left: Pictures of parts that are not done, which other runs have to do.
        rate: Pictures a second of this run, the start of the engine included; None where nothing
            was left to do.
    """

    explained: int
    failed: int
    not_drawn: int
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
    check, rate = output.check(shard), None
    for problem in output.lost:
        _say(f"{problem}: it is written anew. What is done is of these pictures and settings.")
    for problem in check.damaged:
        _say(f"{problem}: its pictures are explained again.")
    if parts := check.missing:
        # A network that cannot be explained leaves no folder behind.
        made = engine(settings)
        try:
            output.begin()
            mine = range(shard[0], output.parts, shard[1])
            total, left = (sum(len(output.pictures_of(p)) for p in some) for some in (mine, parts))
            with output.alone(shard), Progress(total, left, made.others_write) as progress:
                made.run(output, parts, progress.done)
            rate = progress.rate
        except OSError as error:
            raise ResultsError(
                f"The results cannot be written: {error}. What is there is whole, and the same "
                f"line goes on from there. Received: {str(folder)!r}."
            ) from error
    elif output.lost:
        output.begin()
    check = output.check()
    left = output.count - check.explained - check.failed
    if not check.explained and not left:
        raise ResultsError(
            f"None of the {check.failed} pictures could be explained; {str(folder / 'errors')!r} "
            f"says why. Received: {images!r}."
        )
    return Summary(check.explained, check.failed, check.not_drawn, left, rate)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
