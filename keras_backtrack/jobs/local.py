"""The engine for this machine: one process."""

from collections.abc import Callable, Sequence

from .output import Output
from .settings import Settings
from .work import Explained, Worker, joined


class Engine:
    """Does parts of a job in this process.

    Args:
        settings: What is done to every picture.
        threads: CPUs to use, as `Worker` takes it.

    Raises:
        ImportError, OSError, TypeError, ValueError: If the network cannot be loaded or explained.
    """

    others_write = False  # to standard error

    def __init__(self, settings: Settings, threads: int | None = None) -> None:
        self._worker = Worker(settings, threads)

    def run(self, output: Output, parts: Sequence[int], done: Callable[[int], None]) -> None:
        """Does the parts.

        Args:
            output: Where they go.
            parts: Their numbers, in ascending order.
            done: Called with a number of pictures when so many more are explained.
        """
        # Batches fill parts without gaps: only the last part of all may be a shorter one.
        paths = [path for part in parts for path in output.pictures_of(part)]
        batches = self._worker.explain(paths, output.figures)
        for part in parts:
            rows: list[Explained] = []
            left = len(output.pictures_of(part))
            while left:
                rows.append(next(batches))
                done(rows[-1].pictures)
                left -= rows[-1].pictures
            output.write_part(part, *joined(rows))
