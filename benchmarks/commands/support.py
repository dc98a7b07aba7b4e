"""`python -m benchmarks support`."""

from pathlib import Path

import click

from .. import results, support
from ..profiles import Held


@click.command("support")
@click.argument("networks", nargs=-1)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(3))
@click.option(
    "--out",
    default="benchmarks",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
)
@click.pass_obj
def command(held: Held, networks: tuple[str, ...], rounds: int, out: Path) -> None:
    """Which NETWORKS of keras.applications can be explained, by default all.

    Writes support-keras-<version>.json and SUPPORT.md, the page about all versions measured.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in networks or support.names():
        rows.append(support.measure(name, rounds))
        click.echo(rows[-1])
        support.forget()
        # Written after each network: all of them take an hour.
        known = support.names()
        record = results.record("support", held, rounds=rounds, networks=known, rows=rows)
        support.write(record, out)
