"""`python -m benchmarks growth`."""

from pathlib import Path

import click

from .. import results
from ..profiles import Held
from ..speed import growth


@click.command("growth")
@click.argument("varied", nargs=-1, type=click.Choice(growth.VARIED))
@click.option("--quick", is_flag=True, help="The first two values of each only.")
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(3))
@click.option(
    "--out",
    default="out/growth",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
)
@click.pass_obj
def command(held: Held, varied: tuple[str, ...], quick: bool, rounds: int, out: Path) -> None:
    """How the cost of the paper's walk grows with what is VARIED, by default all.

    VGG16 with random weights, for threads VGG19 and the default method, in a
    process for each number of them; depth is
    that of a pile of equal convolutions. Backtracking is what a decision about prepared images
    takes; for threads, what an explanation takes more than the forward pass. Writes growth.csv,
    growth.png and growth.json, and prints the slope of log(backtracking) over log(value): 1 is
    linear growth.
    """
    series = {}
    for name in varied or growth.VARIED:
        series[name] = []
        for point in growth.measure(name, rounds, quick):
            series[name].append(point)
            click.echo(
                f"{name:>9} {point.value:>5}: {point.nodes:>8} nodes, forward "
                f"{point.forward:8.1f} ms, backtracking {point.backtrack:7.1f} ms"
            )
        click.echo(
            f"{name:>9} slope {growth.slope(series[name]):.2f}, over nodes "
            f"{growth.slope(series[name], 'nodes'):.2f}"
        )
    points = [point for found in series.values() for point in found]
    slopes = {name: round(growth.slope(found), 3) for name, found in series.items()}
    rows = [point._asdict() for point in points]
    result = results.record("growth", held, rounds=rounds, slopes=slopes, rows=rows)
    results.write(result, out / "growth.json")
    growth.write_csv(points, out / "growth.csv")
    growth.plot(series, out / "growth.png")
    click.echo(f"Written to {out}.")
