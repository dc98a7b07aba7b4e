"""`python -m benchmarks planted`."""

from pathlib import Path

import click

from .. import results
from ..maps.planted import measure
from ..maps.planted.scenes import KINDS
from ..profiles import Held
from .options import method_option, methods_of


@click.command("planted")
@click.argument("kinds", nargs=-1, type=click.Choice(list(KINDS)))
@method_option
@click.option("--scenes", default=150, show_default=True, type=click.IntRange(3))
@click.option("--seed", default=0, show_default=True, help="Of the networks.")
@click.option(
    "--out",
    default="out/planted",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
)
@click.pass_obj
def command(
    held: Held, kinds: tuple[str, ...], wanted: tuple[str, ...], scenes: int, seed: int, out: Path
) -> None:
    """Whether maps lie on evidence that was planted: scenes of KINDS, by default all.

    Needs no data: scenes are drawn, and a small network learns each kind in half a minute. Of the
    scenes it is right about: how often the heaviest place of a method's map is on the evidence (or
    within 2 pixels of it), and the share of the map's mass that is. Writes planted.json and
    planted.md.
    """
    methods, rows = methods_of(wanted), []
    for row in measure.measure(methods, kinds or tuple(KINDS), scenes, seed, click.echo):
        rows.append(row)
        click.echo(f"{row['kind']}: right about {row['accuracy']:.0%} of its scenes")
        record = results.record("planted", held, seed=seed, rows=rows)
        results.write(record, out / "planted.json")
        (out / "planted.md").write_text(measure.table(rows), encoding="utf-8")
    click.echo(measure.table(rows))
    click.echo(f"Written to {out}.")
