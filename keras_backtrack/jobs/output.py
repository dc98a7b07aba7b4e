"""The folder that a job fills, as the job sees it."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .results import Results, ResultsError, name, replacing
from .settings import Settings
from .tables import SCHEMAS

if sys.platform != "win32":
    import fcntl

_EXAMPLES = 3  # of pictures in an error


class Output(Results):
    """A folder to write results to, with what is asked.

    Args:
        folder: The folder. Nothing is written before `begin`.
        pictures: The pictures of the job, absolute paths.
        settings: What is done to every picture.

    Raises:
        ResultsError: If it holds results of other pictures or settings.
    """

    def __init__(self, folder: Path, pictures: Sequence[str], settings: Settings) -> None:
        super().__init__(folder, len(pictures), settings.part_size)
        self.pictures = pictures
        self.figures = folder / "figures" if settings.figures else None
        self._listed = b"".join(os.fsencode(path) + b"\n" for path in pictures)
        self._record = {"pictures": self.count, "settings": settings.record}
        if (folder / "job.json").exists():
            before = json.loads((folder / "job.json").read_text(encoding="utf-8"))
            self._compare_settings(before["settings"], settings.record)
            self._compare_pictures((folder / "pictures.txt").read_bytes())

    def _compare_settings(self, before: dict, now: dict) -> None:
        changed = [
            f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
            for key in sorted({*before, *now})
            if before.get(key) != now.get(key)
        ]
        if changed:
            raise ResultsError(
                f"{str(self.folder)!r} holds results of other settings, which are not mixed: give "
                f"the same settings, or another folder. Received: {'; '.join(changed)}."
            )

    def _compare_pictures(self, listed: bytes) -> None:
        if listed == self._listed:
            return
        old, new = ({*map(os.fsdecode, names.split(b"\n"))} for names in (listed, self._listed))
        found = [
            f"{len(names)} {what}, such as {', '.join(map(repr, sorted(names)[:_EXAMPLES]))}"
            for what, names in (("new", new - old), ("gone", old - new))
            if names
        ]
        raise ResultsError(
            f"{str(self.folder)!r} holds results of other pictures. To finish those, give "
            f"{str(self.folder / 'pictures.txt')!r} as the pictures; for these, another folder. "
            f"Received: {'; '.join(found) or 'the same in another order'}."
        )

    def begin(self) -> None:
        """Writes down what is asked, where that has not been done."""
        if (self.folder / "job.json").exists():
            return
        for table in SCHEMAS:
            (self.folder / table).mkdir(parents=True, exist_ok=True)
        if self.figures:
            self.figures.mkdir(exist_ok=True)
        job = json.dumps(self._record, indent=1, sort_keys=True) + "\n"
        # What tells that all is there comes last.
        for file, content in (("pictures.txt", self._listed), ("job.json", job.encode())):
            with replacing(self.folder / file) as new:
                new.write_bytes(content)

    def pictures_of(self, part: int) -> Sequence[str]:
        """The pictures of a part."""
        return self.pictures[part * self.part_size : (part + 1) * self.part_size]

    @contextmanager
    def alone(self, shard: tuple[int, int]) -> Iterator[None]:
        """Keeps others from the same shard meanwhile, and tidies up after runs that were killed.

        Raises:
            ResultsError: If another run is at it.
        """
        with open(self.folder / f".lock-{shard[0] + 1}-of-{shard[1]}", "w") as lock:
            if sys.platform != "win32":
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ResultsError(
                        f"Another run is writing to the folder. Received: {str(self.folder)!r}."
                    ) from None
                except OSError:
                    pass  # A file system that knows no locks.
            for part in self.missing(shard):
                for table in SCHEMAS:
                    for left in (self.folder / table).glob(f".{name(part)}.*"):
                        left.unlink()
            yield

    def write_part(self, part: int, explanations: pa.Table, errors: pa.Table) -> None:
        """Keeps what came out of a part."""
        for table, rows in (("errors", errors), ("explanations", explanations)):
            with replacing(self.folder / table / name(part)) as new:
                pq.write_table(rows, new)
