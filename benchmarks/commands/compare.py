"""`python -m benchmarks compare`."""

from pathlib import Path

import click

from ..speed import compare

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("compare")
@click.argument("first", type=_FILE)
@click.argument("second", type=_FILE)
def command(first: Path, second: Path) -> None:
    """How many times as fast the host of SECOND is as that of FIRST, with the spread.

    Both are files that `cost` wrote.
    """
    try:
        records = [compare.read(path) for path in (first, second)]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not compare.speed_ups(*records):
        raise click.UsageError(f"The two files share no row. Received: {first}, {second}.")
    click.echo(compare.table(*records))
