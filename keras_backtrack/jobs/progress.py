"""How far a job is, said on standard error."""

import io
import os
import sys
import threading
import time
from contextlib import ExitStack, suppress
from typing import TextIO

from tqdm import tqdm


class Progress:
    """A bar on the terminal, a line now and then in the log of a job.

    Args:
        total: How many pictures there are.
        left: How many of them are left to do.
        others_write: Whether other code than ours, not all of it Python, writes to standard error
            meanwhile. Its lines are put above the bar, which they would break.
    """

    def __init__(self, total: int, left: int, others_write: bool) -> None:
        self._total, self._left, self._done = total, left, 0
        self._others_write = others_write
        self._stack = ExitStack()
        self._seconds: float | None = None

    @property
    def rate(self) -> float | None:
        """Pictures a second, from the start to the end; None before that."""
        return self._done / self._seconds if self._seconds else None

    def done(self, count: int) -> None:
        """Says that so many more pictures are done."""
        self._done += count
        self._bar.update(count)

    def __enter__(self) -> "Progress":
        file = self._stack.enter_context(_Apart()) if self._others_write else None
        self._bar = tqdm(
            total=self._total,
            initial=self._total - self._left,
            unit="picture",
            mininterval=0.5 if sys.stderr.isatty() else 30,
            file=file,
        )
        self._stack.callback(self._bar.close)
        self._begin = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self._seconds = time.perf_counter() - self._begin
        self._stack.close()


class _Apart:
    """Standard error for a bar alone, while what others write there is put above it.

    On entering gives the file for the bar; None where standard error is no file of the system.
    """

    def __enter__(self) -> TextIO | None:
        self._file: TextIO | None = None
        try:
            self._number = sys.stderr.fileno()
        except (AttributeError, io.UnsupportedOperation):
            return None
        sys.stderr.flush()
        self._file = os.fdopen(os.dup(self._number), "w", encoding=sys.stderr.encoding)
        reading, writing = os.pipe()
        os.dup2(writing, self._number)
        os.close(writing)
        self._reader = threading.Thread(target=self._put_above, args=(reading,), daemon=True)
        self._reader.start()
        return self._file

    def _put_above(self, reading: int) -> None:
        with os.fdopen(reading, errors="backslashreplace") as lines:
            for line in lines:
                with suppress(OSError, ValueError):  # Nobody can read it any more.
                    tqdm.write(line.rstrip("\n"), file=self._file)

    def __exit__(self, *error: object) -> None:
        if self._file is None:
            return
        sys.stderr.flush()
        os.dup2(self._file.fileno(), self._number)
        # A process that was started meanwhile, and lives on, may hold the other end open.
        self._reader.join(timeout=1)
        if not self._reader.is_alive():
            self._file.close()
