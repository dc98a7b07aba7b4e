"""`python -m benchmarks support`."""

from pathlib import Path

import click

from .. import results, support
from ..profiles import Held


@click.command("support")
@click.argument("networks", nargs=-1)
@click.option("--size", type=click.IntRange(32), help="Side of the input. [default: the smallest]")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(3))
@click.option(
    "--out",
    default="benchmarks",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
)
@click.pass_obj
def command(
    held: Held, networks: tuple[str, ...], size: int | None, rounds: int, out: Path
) -> None:
    """Which NETWORKS of keras.applications can be explained, by default all.

    Writes support-keras-<version>.json, where results for other networks and sizes stay, and
    SUPPORT.md, the page about all versions measured.
    """
    out.mkdir(parents=True, exist_ok=True)
    known = support.names()
    rows = support.read_rows(out)
    for name in networks or known:
        row = support.measure(name, size, rounds)
        click.echo(row)
        support.forget()
        # Written after each network: all of them take an hour.
        rows[name, row["size"]] = row
        fields = {"rounds": rounds, "networks": known, "rows": list(rows.values())}
        record = results.record("support", held, **fields)
        support.write(record, out)
