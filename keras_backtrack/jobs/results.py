"""The folder that a job fills, as who reads it sees it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from .tables import SCHEMAS


class ResultsError(ValueError):
    """The folder holds something else, or not all, or cannot be written."""


class Results:
    """A folder of results, in parts.

    The pictures of a job, in their order, fall into parts of equal length. Each part is a file in
    `errors` and one in `explanations`. The latter appears last, and a file appears as a whole: a
    part is done where it is there. Where a run was killed before, the part is done again, and as
    the pictures of a part never change, the same is written.

    Attributes:
        folder: The folder.
        count: How many pictures the job is about.
        part_size: How many of them a part has; the last may have fewer.
    """

    def __init__(self, folder: Path, count: int, part_size: int) -> None:
        self.folder = folder
        self.count = count
        self.part_size = part_size

    @classmethod
    def read(cls, folder: Path) -> "Results":
        """The results of a job that was begun.

        Raises:
            ResultsError: If there are none.
        """
        try:
            job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ResultsError(
                f"There are no results of `keras-backtrack run`. Received: {str(folder)!r}."
            ) from None
        return cls(folder, job["pictures"], job["settings"]["part_size"])

    @property
    def parts(self) -> int:
        """How many parts there are in all."""
        return -(-self.count // self.part_size)

    def missing(self, shard: tuple[int, int] = (0, 1)) -> list[int]:
        """The parts that are not done.

        Args:
            shard: Of every `shard[1]`-th part from number `shard[0]` on.
        """
        done = {path.name for path in (self.folder / "explanations").glob("part-*.parquet")}
        return [part for part in range(shard[0], self.parts, shard[1]) if name(part) not in done]

    def files(self, table: str) -> list[Path]:
        """The files of `"explanations"` or of `"errors"`, of all parts that are done."""
        missing = set(self.missing())
        return [
            self.folder / table / name(part) for part in range(self.parts) if part not in missing
        ]

    def rows(self, table: str) -> int:
        """How many rows a table has so far."""
        return sum(pq.read_metadata(path).num_rows for path in self.files(table))

    def merge(self) -> list[Path]:
        """Writes each table as one file beside its folder of parts: `explanations.parquet`.

        Returns:
            The files.

        Raises:
            ResultsError: If there are parts that are not done.
        """
        if missing := self.missing():
            raise ResultsError(
                f"{len(missing)} of {self.parts} parts are not done: start their runs again. "
                f"Received: {str(self.folder)!r}."
            )
        merged = []
        for table, schema in SCHEMAS.items():
            merged.append(self.folder / f"{table}.parquet")
            with replacing(merged[-1]) as new, pq.ParquetWriter(new, schema) as writer:
                for path in self.files(table):
                    # Parts that an older version wrote lack the columns that are new.
                    writer.write_table(pq.read_table(path, partitioning=None, schema=schema))
        return merged


def name(part: int) -> str:
    """Name of the file of a part."""
    return f"part-{part:06}.parquet"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` in the end, or vanishes where that fails."""
    # A name that starts with a dot is no data for those who read the folder.
    handle, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        os.fchmod(handle, 0o666 & ~_UMASK)
        yield Path(new)
        os.fsync(handle)
        os.replace(new, path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()  # It can only be read by changing it, which is safe while nothing else runs.
