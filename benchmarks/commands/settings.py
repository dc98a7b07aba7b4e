"""`python -m benchmarks settings`."""

from pathlib import Path

import click

from .. import results
from ..profiles import Held
from ..speed import settings


@click.command("settings")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(3))
@click.option(
    "--out",
    default="out/settings.json",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
)
@click.pass_obj
def command(held: Held, repeats: int, rounds: int, out: Path) -> None:
    """What all cores, the best instruction set, oneDNN and ITEX bring, VGG19 at 224 x 224.

    Each setting runs in processes of its own, in turns with this host at its best.
    """
    found = settings.measure(repeats, rounds)
    click.echo(settings.table(found))
    results.write(results.record("settings", held, rounds=rounds, speed_ups=found), out)
    click.echo(f"Written to {out}.")
