"""The engine for several machines, or several processes of one: Ray Data with a pool of actors."""

import ipaddress
import logging
import os
import secrets
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from .. import runtime
from .output import Output
from .results import ResultsError
from .settings import Settings
from .work import Worker, joined

try:
    import ray
    import ray.data
except ImportError:
    raise ImportError(
        "The engine 'ray' needs Ray, on all machines: pip install 'keras-backtrack[ray]'."
    ) from None

# More threads gain little on the batches that networks run in, and each actor keeps a network.
_CPUS_OF_AN_ACTOR = (4, 3, 5, 6, 7)  # The usual first.


class Engine:
    """Does parts of a job on a Ray cluster.

    Each actor loads the network once and does whole parts, on an equal share of the CPUs. The
    rows come back to this process, which alone writes them. An actor that dies is replaced, and
    what it was at is done again. All machines must see the pictures under the same paths, and the
    output, too, where figures are drawn.

    Args:
        settings: What is done to every picture.
        address: Of the cluster; None for one that is made on this machine, for as long as it takes,
            and can be reached from it alone.
        actors: How many; by default as many as the CPUs of the cluster allow.
        threads: CPUs of each; by default an equal share of all, or about four, such that few are
            left over, where that is open, too.

    Raises:
        ImportError, OSError, TypeError, ValueError: If the network cannot be loaded or explained.
    """

    others_write = True  # to standard error

    def __init__(
        self,
        settings: Settings,
        address: str | None = None,
        actors: int | None = None,
        threads: int | None = None,
    ) -> None:
        Worker(settings)  # What is wrong is told better here than by an actor.
        self._settings = settings
        self._address = address
        self._actors = actors
        self._threads = threads

    def run(self, output: Output, parts: Sequence[int], done: Callable[[int], None]) -> None:
        """Does the parts; the arguments are those of `local.Engine.run`.

        Raises:
            ResultsError: If there is no such cluster, it fails, or has fewer CPUs than actors.
        """
        environ = {name: value for name, value in os.environ.items() if name.startswith("TF_")}
        try:
            _knock(self._address)
            settings = {
                "runtime_env": {"env_vars": environ},
                "log_to_driver": False,
                "logging_level": logging.ERROR,
            }
            if self._address is None:
                _start_own(settings)
            else:
                ray.init(self._address, **settings)
            for part, found, failed in self._results(output, parts):
                output.write_part(part, found, failed)
                done(len(output.pictures_of(part)))
        except (ConnectionError, ray.exceptions.RayError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise ResultsError(
                f"The Ray cluster failed: {reason}. What is written is whole, and the same line "
                f"goes on from there. Received: address {self._address!r}."
            ) from error
        finally:
            ray.shutdown()

    def _results(
        self, output: Output, parts: Sequence[int]
    ) -> Iterator[tuple[int, pa.Table, pa.Table]]:
        """The rows of each part, as actors get done with it."""
        cpus = [int(n["Resources"].get("CPU", 0)) for n in ray.nodes() if n["Alive"]]
        actors, threads = share(cpus, self._actors, self._threads)
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        items = [
            {"part": part, "paths": [os.fsencode(path) for path in output.pictures_of(part)]}
            for part in parts
        ]
        results = ray.data.from_items(items, override_num_blocks=len(items)).map(
            Actor,
            fn_constructor_args=(self._settings, threads, output.figures),
            compute=ray.data.ActorPoolStrategy(size=min(actors, len(items))),
            num_cpus=threads,
        )
        for row in results.iter_rows():
            yield row["part"], _unpack(row["explanations"]), _unpack(row["errors"])


def share(cpus: Sequence[int], actors: int | None, threads: int | None) -> tuple[int, int]:
    """How many actors, and the CPUs of each, so that all CPUs work.

    Args:
        cpus: Of each machine.
        actors, threads: What is asked for.

    Raises:
        ResultsError: If the machines have fewer CPUs.
    """

    def fitting(size: int) -> int:
        return sum(count // size for count in cpus)

    most = max(cpus, default=0) or 1
    if threads is not None:
        sizes = [threads]
    elif actors is not None:
        sizes = [size for size in range(1, most + 1) if fitting(size) >= actors][-1:]
    else:
        sizes = [size for size in _CPUS_OF_AN_ACTOR if size <= most] or [most]
    # As many CPUs as can be, then as near to the usual as can be.
    threads = max(sizes, key=lambda size: fitting(size) * size, default=1)
    if actors is None:
        actors = max(fitting(threads), 1)
    if fitting(threads) < actors:
        raise ResultsError(
            f"The machines of the cluster have {list(cpus)} CPUs. "
            f"Received: {actors} actors of {threads} CPUs each."
        )
    return actors, threads


def _start_own(settings: dict) -> None:
    """Starts a cluster on this machine that listens to nobody else.

    Args:
        settings: What `ray.init` takes besides.
    """
    _choose_token()
    try:
        with _on_loopback():
            # An address of None would be the last cluster started here, dead or not.
            ray.init("local", include_dashboard=False, **settings)
    except RuntimeError as error:
        raise ConnectionError(str(error)) from error
    for node in ray.nodes():
        if not ipaddress.ip_address(node["NodeManagerAddress"]).is_loopback:
            warnings.warn(
                "Ray was to be reached from this machine alone. "
                f"Received: Ray {ray.__version__} listens on {node['NodeManagerAddress']}.",
                stacklevel=2,
            )


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Has Ray take loopback for this machine's address, as it does by itself on desktop systems."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _choose_token() -> None:
    """Has Ray ask for a token that other users of this machine do not know.

    Ray would make one for all of its clusters, in a file that they may be able to read. It keeps
    what it has found for as long as a process lives.
    """
    if not any(name.startswith("RAY_AUTH_") for name in os.environ):  # The user's own choice.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _knock(address: str | None) -> None:
    """Raises an error where nobody listens: Ray itself would try for many minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or _last_started()
    host, _, port = (address or "").rpartition(":")
    if port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise ConnectionError(f"nobody answers at {address} ({error})") from None


def _last_started() -> str | None:
    """Address of the last cluster that was started here, which Ray keeps though it be killed."""
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    kept = Path(folder) / "ray" / "ray_current_cluster"
    return kept.read_text().strip() if kept.exists() else None


class Actor:
    """A worker in a process of its own, with its share of the CPUs."""

    def __init__(self, settings: Settings, threads: int, figures: Path | None) -> None:
        runtime.configure(threads=threads)
        self._worker = Worker(settings, threads)
        self._figures = figures

    def __call__(self, item: dict) -> dict:
        """The rows of a part."""
        paths = [os.fsdecode(path) for path in item["paths"]]
        found, failed = joined(list(self._worker.explain(paths, self._figures)))
        return {"part": item["part"], "explanations": _pack(found), "errors": _pack(failed)}


def _pack(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.unify_dictionaries())
    return sink.getvalue().to_pybytes()


def _unpack(content: bytes) -> pa.Table:
    return pa.ipc.open_stream(content).read_all()
