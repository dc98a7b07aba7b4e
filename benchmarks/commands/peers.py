"""`python -m benchmarks peers`."""

from pathlib import Path

import click

from .. import results
from ..profiles import Held
from ..speed import beside_peers
from ..speed.cases import ALL, Case
from .options import method_option, methods_of


@click.command("peers")
@click.option("--network", default="VGG16", show_default=True, help="One of those of `cost`.")
@click.option("--size", default=224, show_default=True, type=click.IntRange(32))
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1))
@method_option
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(3))
@click.option(
    "--out",
    default="out/peers.json",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
)
@click.pass_obj
def command(
    held: Held,
    network: str,
    size: int,
    batch: int,
    wanted: tuple[str, ...],
    rounds: int,
    out: Path,
) -> None:
    """What an explanation costs beside peers' methods, on one network and picture, in one run.

    Peers need the extra `bench`, Xplique benchmarks/xplique.txt; one that is missing or breaks has
    its error as its entry. All run in turns, on all threads; methods of seconds three times.
    """
    known = list(dict.fromkeys(case.network for case in ALL))
    if network not in known:
        raise click.UsageError(f"The networks are {known}. Received: {network!r}.")
    case = Case(network, size, batch)
    rows = beside_peers.measure(case, rounds, methods_of(wanted), click.echo)
    for row in rows:
        click.echo(beside_peers.line(row))
    fields = {"case": case._asdict(), "rounds": rounds, "rows": rows}
    results.write(results.record("peers", held, **fields), out)
    click.echo(f"Written to {out}.")
