"""The folder that a job fills, as the job sees it."""

import errno
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import AcquireReturnProxy, FileLock, SoftFileLock, Timeout

from ..pictures.photos import as_text
from .pictures import as_list, from_list, is_whole_list
from .results import (
    DamageError,
    Results,
    ResultsError,
    damage_told,
    name,
    read_column,
    read_job,
    replacing,
)
from .settings import Settings
from .tables import SCHEMAS

_EXAMPLES = 3  # of pictures in an error
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}  # What file systems say without any.


class Output(Results):
    """A folder to write results to, with what is asked.

    Args:
        folder: The folder. Nothing is written before `begin`.
        pictures: The pictures of the job, absolute paths.
        settings: What is done to every picture.

    Attributes:
        lost: What of that was written down before and is damaged or gone. The parts that are there
            have told that they are of the same pictures and settings.

    Raises:
        ResultsError: If it holds results of other pictures or settings.
    """

    def __init__(self, folder: Path, pictures: Sequence[str], settings: Settings) -> None:
        super().__init__(folder, len(pictures), settings.part_size)
        self.pictures = pictures
        self.figures = folder / "figures" if settings.figures else None
        self.lost: list[str] = []
        self._settings = settings
        self._listed = as_list(pictures)
        self._record = {"pictures": self.count, "settings": settings.record}
        self._is_recorded = self._compare_record()

    def _compare_record(self) -> bool:
        """Whether all is written down as it is asked for now."""
        count = None
        try:
            count, before = read_job(self.folder)
            self._compare_settings(before, self._settings.record)
        except FileNotFoundError:
            if not any((self.folder / "explanations").glob("part-*.parquet")):
                return False
            self.lost.append(f"{self.folder / 'job.json'} is missing")
        except DamageError as error:
            self.lost.append(str(error))
        path = self.folder / "pictures.txt"
        listed = path.read_bytes() if path.exists() else b""
        if listed != self._listed:
            if count is not None and is_whole_list(listed, count):
                raise self._other_pictures(from_list(listed), self.pictures)
            self.lost.append(f"{path} is {'damaged' if path.exists() else 'missing'}")
        if self.lost:
            self._compare_parts()
        return not self.lost

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

    def _other_pictures(self, before: Sequence[str], now: Sequence[str]) -> ResultsError:
        found = [
            f"{len(names)} {what}, such as {', '.join(map(repr, sorted(names)[:_EXAMPLES]))}"
            for what, names in (("new", {*now} - {*before}), ("gone", {*before} - {*now}))
            if names
        ]
        return ResultsError(
            f"{str(self.folder)!r} holds results of other pictures. To finish those, give "
            f"{str(self.folder / 'pictures.txt')!r} as the pictures; for these, another folder. "
            f"Received: {'; '.join(found) or 'the same in another order'}."
        )

    def _compare_parts(self) -> None:
        """Asks the parts that are done what they are about."""
        for part in self.check().done:
            before: list[str] = []
            for path in (self.folder / table / name(part) for table in SCHEMAS):
                with damage_told(path):
                    before += read_column(path, "path")
                    settings = {*read_column(path, "settings")}
                for each in settings:
                    self._compare_settings(json.loads(each), self._settings.record)
            now = [as_text(path) for path in self.pictures_of(part)]
            if {*before} != {*now}:
                raise self._other_pictures(before, now)

    def begin(self) -> None:
        """Writes down what is asked, where that has not been done or is lost."""
        for table in SCHEMAS:
            (self.folder / table).mkdir(parents=True, exist_ok=True)
        if self.figures:
            self.figures.mkdir(exist_ok=True)
        if self._is_recorded:
            return
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
        path = self.folder / f".lock-{shard[0] + 1}-of-{shard[1]}"
        try:
            lock = _locked(path)
        except Timeout as error:
            raise ResultsError(
                "Another run is writing to the folder. If there is none, on any machine, delete "
                f"{error.lock_file!r}. Received: {str(self.folder)!r}."
            ) from None
        with lock:
            for part in self.missing(shard):
                for table in SCHEMAS:
                    for left in (self.folder / table).glob(f".{name(part)}.*"):
                        left.unlink()
            yield

    def write_part(self, part: int, explanations: pa.Table, errors: pa.Table) -> None:
        """Keeps what came out of a part."""
        for table, rows in (("errors", errors), ("explanations", explanations)):
            with replacing(self.folder / table / name(part)) as new:
                pq.write_table(rows, new, write_page_checksum=True)


def _locked(path: Path) -> AcquireReturnProxy:
    """Locks a file for as long as this is entered, or raises Timeout where another process has.

    Where the system has no locks, a file that is there is one. It outlives a process that was
    killed: on its machine until the next one looks, elsewhere until it is deleted.
    """
    try:
        return FileLock(path).acquire(timeout=0)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return SoftFileLock(f"{path}.soft").acquire(timeout=0)
