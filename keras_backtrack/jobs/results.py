"""The folder that a job fills, as who reads it sees it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from .tables import SCHEMAS

_TAIL = 8  # bytes of a Parquet file behind its footer


class ResultsError(ValueError):
    """The folder holds something else, or not all, or cannot be written."""


class DamageError(ValueError):
    """A file of the folder is not what was written."""


class Check(NamedTuple):
    """What there is of some parts.

    Attributes:
        done: The parts that are done.
        missing: The others, those with damaged files among them.
        damaged: What is wrong, for each part that has damaged files.
        explained: Rows of explanations, in parts that are done.
        failed: Pictures that could not be explained.
        not_drawn: Pictures that were explained, but have no figure.
    """

    done: list[int]
    missing: list[int]
    damaged: list[str]
    explained: int
    failed: int
    not_drawn: int


class Results:
    """A folder of results, in parts.

    The pictures of a job, in their order, fall into parts of equal length. Each part is a file in
    `errors` and one in `explanations`. The latter appears last, and a file appears as a whole: a
    part is done where both are there and hold its pictures. Where a run was killed before, or a
    file was damaged since, the part is done again, and as the pictures of a part never change, the
    same is written.

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
            ResultsError: If there are none, or nobody can tell how many there should be.
        """
        try:
            count, settings = read_job(folder)
        except FileNotFoundError:
            raise ResultsError(
                f"There are no results of `keras-backtrack run`. Received: {str(folder)!r}."
            ) from None
        except DamageError as error:
            raise ResultsError(
                f"What the job is about cannot be read: {error}. Start its run again, which writes "
                f"that down anew. Received: {str(folder)!r}."
            ) from None
        return cls(folder, count, settings["part_size"])

    @property
    def parts(self) -> int:
        """How many parts there are in all."""
        return -(-self.count // self.part_size)

    def check(self, shard: tuple[int, int] = (0, 1)) -> Check:
        """Looks at the files of parts: their size, footers and numbers of rows.

        Args:
            shard: Of every `shard[1]`-th part from number `shard[0]` on.

        Raises:
            OSError: If a file cannot be read, for reasons other than what is in it.
        """
        there = {path.name for path in (self.folder / "explanations").glob("part-*.parquet")}
        done, missing, damaged, pictures = [], [], [], 0
        explained = failed = 0
        for part in range(shard[0], self.parts, shard[1]):
            if name(part) not in there:
                missing.append(part)
                continue
            try:
                rows, errors = self._rows(part)
            except DamageError as error:
                missing.append(part)
                damaged.append(str(error))
                continue
            done.append(part)
            pictures += self._pictures_in(part)
            explained, failed = explained + rows, failed + errors
        without = pictures - explained
        return Check(done, missing, damaged, explained, without, failed - without)

    def missing(self, shard: tuple[int, int] = (0, 1)) -> list[int]:
        """The parts that are not done; `shard` is that of `check`."""
        return self.check(shard).missing

    def _pictures_in(self, part: int) -> int:
        return min(self.part_size, self.count - part * self.part_size)

    def _rows(self, part: int) -> tuple[int, int]:
        """How many rows the part's explanations and errors have."""
        files = [self.folder / table / name(part) for table in ("explanations", "errors")]
        explained, failed = map(_count_rows, files)
        if explained + failed == self._pictures_in(part):
            return explained, failed
        # A picture whose figure could not be drawn is in both.
        pictures = {path for file in files for path in read_column(file, "path")}
        if len(pictures) != self._pictures_in(part):
            raise DamageError(
                f"{files[0]} and {files[1]} have rows of {len(pictures)} pictures, not of "
                f"{self._pictures_in(part)}"
            )
        return explained, failed

    def merge(self) -> list[Path]:
        """Writes each table as one file beside its folder of parts: `explanations.parquet`.

        Returns:
            The files.

        Raises:
            ResultsError: If there are parts that are not done, or damaged.
        """
        check = self.check()
        if check.missing:
            damaged = "".join(f" {each}." for each in check.damaged)
            raise ResultsError(
                f"{len(check.missing)} of {self.parts} parts are not done: start their runs again."
                f"{damaged} Received: {str(self.folder)!r}."
            )
        merged = []
        for table, schema in SCHEMAS.items():
            merged.append(self.folder / f"{table}.parquet")
            with replacing(merged[-1]) as new, pq.ParquetWriter(new, schema) as writer:
                for part in check.done:
                    path = self.folder / table / name(part)
                    with damage_told(path):
                        # Parts that an older version wrote lack the columns that are new.
                        rows = pq.read_table(
                            path, partitioning=None, schema=schema, page_checksum_verification=True
                        )
                    writer.write_table(rows)
        return merged


def read_job(folder: Path) -> tuple[int, dict[str, Any]]:
    """How many pictures a job is about, and its settings.

    Raises:
        FileNotFoundError: If no job was begun.
        DamageError: If what is written down of it is damaged.
    """
    path = folder / "job.json"
    try:
        job = json.loads(path.read_text(encoding="utf-8"))
        count, settings = job["pictures"], job["settings"]
        if all(type(number) is int and number > 0 for number in (count, settings["part_size"])):
            return count, settings
    except (KeyError, TypeError, ValueError, RecursionError):
        pass
    raise DamageError(f"{path} is damaged")


def read_column(path: Path, column: str) -> list:
    """A column of a part.

    Raises:
        DamageError: If it cannot be read.
    """
    with _told(path):
        return pq.read_table(path, columns=[column], partitioning=None)[column].to_pylist()


def _count_rows(path: Path) -> int:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DamageError(f"{path} is missing") from None
    if not size:
        raise DamageError(f"{path} is empty")
    with _told(path):
        found = pq.read_metadata(path)
    ends = [
        (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
        for group in range(found.num_row_groups)
        for column in map(found.row_group(group).column, range(found.num_columns))
    ]
    if max(ends, default=0) + found.serialized_size + _TAIL > size:
        raise DamageError(f"{path} is shorter than its footer says")
    return found.num_rows


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Says which file it is that cannot be read for what is in it."""
    try:
        yield
    except (OSError, KeyError, ValueError) as error:
        # pyarrow raises OSErrors without a number of what it cannot decode.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise DamageError(f"{path} cannot be read ({reason})") from None


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Says what to do where a file cannot be read for what is in it."""
    try:
        with _told(path):
            yield
    except DamageError as error:
        raise ResultsError(
            f"A part is damaged: {error}. Delete the file and start its run again. "
            f"Received: {str(path)!r}."
        ) from None


def name(part: int) -> str:
    """Name of the file of a part."""
    return f"part-{part:06}.parquet"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` in the end, or vanishes where that fails."""
    # A name that starts with a dot is no data for those who read the folder.
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)  # Some systems do not rename files that are open.
    new = Path(temporary)
    try:
        yield new
        new.chmod(0o666 & ~_UMASK)
        with open(new, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()  # It can only be read by changing it, which is safe while nothing else runs.
