"""`python -m benchmarks libraries`."""

import importlib.metadata
from pathlib import Path

import click

from .. import libraries, results, support
from ..libraries import measuring, page
from ..profiles import Held


@click.command("libraries")
@click.argument("library", type=click.Choice(list(libraries.LIBRARIES)))
@click.argument("networks", nargs=-1)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(3))
@click.option(
    "--out",
    default="benchmarks",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
)
@click.pass_obj
def command(held: Held, library: str, networks: tuple[str, ...], rounds: int, out: Path) -> None:
    """Which NETWORKS of a LIBRARY can be explained, by default all.

    Writes libraries-<library>.json, where results for other networks stay, and SUPPORT.md.
    """
    try:
        known = libraries.builders(library)
    except ImportError as error:
        raise click.UsageError(f"{library} is needed: {error}.") from error
    if unknown := set(networks) - set(known):
        raise click.BadParameter(f"one of {list(known)}. Received: {sorted(unknown)}.")
    out.mkdir(parents=True, exist_ok=True)
    rows = page.read(out, library)
    version = importlib.metadata.version(library)
    for name in networks or known:
        rows[name] = measuring.measure(name, known[name], rounds)
        click.echo(rows[name])
        support.forget()
        # Written after each network: all of them take long.
        fields = {"library": library, "version": version, "rounds": rounds}
        inorder = [rows[name] for name in known if name in rows]
        page.write(results.record("libraries", held, **fields, rows=inorder), out)
        support.write_page(out)
