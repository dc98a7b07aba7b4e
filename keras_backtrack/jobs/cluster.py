"""The engine for several machines, or several processes of one: Ray Data with a pool of actors."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from .output import Output
from .settings import Settings

try:
    import ray
except ImportError:
    raise ImportError(
        "The engine 'ray' needs Ray, on all machines: pip install 'keras-backtrack[ray]'."
    ) from None

_CPUS_OF_AN_ACTOR = 4  # More threads gain little on the batches that networks run in.


class Engine:
    """Does parts of a job on a Ray cluster.

    Each actor loads the network once and does whole parts, on an equal share of the CPUs. The
    rows come back to this process, which alone writes them. An actor that dies is replaced, and
    what it was at is done again. All machines must see the pictures under the same paths, and the
    output, too, where figures are drawn.

    Args:
        settings: What is done to every picture.
        address: Of the cluster; None for one that is made on this machine, for as long as it takes.
        actors: How many; by default one for every four CPUs of the cluster.
    """

    def __init__(
        self, settings: Settings, address: str | None = None, actors: int | None = None
    ) -> None:
        self._settings = settings
        self._address = address
        self._actors = actors

    def run(self, output: Output, parts: Sequence[int], done: Callable[[int], None]) -> None:
        """Does the parts; the arguments are those of `local.Engine.run`.

        Raises:
            ConnectionError: If there is no such cluster.
            ValueError: If there are more actors than CPUs.
        """
        environ = {name: value for name, value in os.environ.items() if name.startswith("TF_")}
        ray.init(self._address, runtime_env={"env_vars": environ}, log_to_driver=False)
        try:
            threads = self._threads(int(ray.cluster_resources()["CPU"]))
            ray.data.DataContext.get_current().enable_progress_bars = False
            items = [
                {"part": part, "paths": [os.fsencode(path) for path in output.pictures_of(part)]}
                for part in parts
            ]
            results = ray.data.from_items(items, override_num_blocks=len(items)).map(
                Actor,
                fn_constructor_args=(self._settings, threads, output.figures),
                compute=ray.data.ActorPoolStrategy(size=min(self._actors, len(items))),
                num_cpus=threads,
            )
            for row in results.iter_rows():
                found, failed = (_unpack(row[table]) for table in ("explanations", "errors"))
                output.write_part(row["part"], found, failed)
                done(found.num_rows + failed.num_rows)
        finally:
            ray.shutdown()

    def _threads(self, cpus: int) -> int:
        """CPUs of an actor."""
        self._actors = self._actors or max(cpus // _CPUS_OF_AN_ACTOR, 1)
        if self._actors > cpus:
            raise ValueError(f"The cluster has {cpus} CPUs. Received: {self._actors} actors.")
        return cpus // self._actors


class Actor:
    """A worker in a process of its own, with its share of the CPUs."""

    def __init__(self, settings: Settings, threads: int, figures: Path | None) -> None:
        from .. import runtime

        runtime.configure(threads=threads)
        from .work import Worker

        self._worker = Worker(settings, threads)
        self._figures = figures

    def __call__(self, item: dict) -> dict:
        """The rows of a part."""
        paths = [os.fsdecode(path) for path in item["paths"]]
        rows = zip(*self._worker.explain(paths, self._figures), strict=True)
        found, failed = map(pa.concat_tables, rows)
        return {"part": item["part"], "explanations": _pack(found), "errors": _pack(failed)}


def _pack(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.unify_dictionaries())
    return sink.getvalue().to_pybytes()


def _unpack(content: bytes) -> pa.Table:
    return pa.ipc.open_stream(content).read_all()
