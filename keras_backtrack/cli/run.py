"""`keras-backtrack run`: folders of pictures to Parquet, and `merge`: to one file."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from .. import runtime
from .options import network_options, walk_options


def _shard(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    number, _, count = value.partition("/")
    if number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count):
        return int(number) - 1, int(count)
    raise click.BadParameter(f"must be such as 2/8, the second of eight. Received: {value!r}.")


@click.command()
@click.option(
    "--images",
    required=True,
    metavar="DIR|GLOB|LIST",
    help="A folder (with the folders in it), a pattern in quotes, or a file with a path a line "
    "(or each ended by a NUL).",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the results. Where it holds some, the rest is done.",
)
@network_options
@click.option("--target", metavar="CLASS", help="Class to explain, name or number. [predicted]")
@walk_options
@click.option(
    "--batch-size",
    default=16,
    show_default=True,
    type=click.IntRange(1),
    help="Pictures that go through the network at once.",
)
@click.option(
    "--part-size",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Pictures in a file of the results: what is lost at most when a run is killed.",
)
@click.option("--figures", is_flag=True, help="Draw a figure of each picture, too. Slow.")
@click.option(
    "--shard",
    default="1/1",
    callback=_shard,
    metavar="I/N",
    help="Do only every N-th part, from the I-th on, beside others that do the rest.",
)
@click.option(
    "--threads", type=click.IntRange(1), help="CPUs to use; with Ray, of each actor. [all]"
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="This process, or actors of Ray (extra 'ray').",
)
@click.option(
    "--address", metavar="HOST:PORT", help="A Ray cluster; 'auto' for the one of this host. [own]"
)
@click.option(
    "--actors",
    type=click.IntRange(1),
    help="Ray actors, which share the CPUs. [one for about four CPUs]",
)
def run(
    images: str,
    out: Path,
    shard: tuple[int, int],
    threads: int | None,
    engine: str,
    address: str | None,
    actors: int | None,
    name: str,
    weights: str | None,
    **rest: Any,
) -> None:
    """Explain folders of pictures.

    Writes OUT/explanations, a folder of Parquet files with a row for each picture: path, size,
    class, score, important pixels and boxes in the picture's own coordinates, settings, versions.
    Those that cannot be read or drawn are in OUT/errors, with the reason, and stop nothing. A run
    that was interrupted, however, goes on when it is started again with the same line; files of
    the results that were damaged since are named, and made again.
    """
    if engine == "local" and (address or actors):
        raise click.UsageError("--address and --actors go with --engine ray.")
    try:
        # These import TensorFlow, which takes seconds that --help need not wait for.
        from ..jobs.job import run as run_job
        from ..jobs.settings import Settings

        settings = Settings(model=_file(name), weights=weights and _file(weights), **rest)
        made: Callable[[Settings], Any]
        if engine == "ray":
            from ..jobs import cluster

            made = partial(cluster.Engine, address=address, actors=actors, threads=threads)
        else:
            if threads:
                runtime.configure(threads=threads)
            from ..jobs import local

            made = partial(local.Engine, threads=threads)
        done = run_job(images, out, settings, made, shard)
    except (ImportError, NotImplementedError, OSError, TypeError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    rate = f", {done.rate:.1f} a second" if done.rate else ""
    click.echo(f"{done.explained} pictures explained{rate}: {out / 'explanations'}")
    if done.failed:
        click.echo(f"{done.failed} could not be: {out / 'errors'}")
    if done.not_drawn:
        click.echo(f"{done.not_drawn} have no figure: {out / 'errors'}")
    if done.left:
        click.echo(f"{done.left} are left to other shards.")


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
def merge(out: Path) -> None:
    """Make one file of each table that `run` wrote.

    Writes OUT/explanations.parquet and OUT/errors.parquet, and fails where a part is missing.
    """
    try:
        from ..jobs.results import Results

        for path in Results.read(out).merge():
            click.echo(path)
    except (ImportError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _file(name: str) -> str:
    """What is a file is the same one wherever the line is run."""
    return os.path.abspath(name) if os.path.isfile(name) else name
