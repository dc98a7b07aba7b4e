"""`python -m benchmarks cost`."""

from pathlib import Path

import click

from .. import results
from ..profiles import Held
from ..speed import cases, cost
from ..speed.memory import can_measure


@click.command("cost")
@click.option("--quick", is_flag=True, help="VGG19 at 224 x 224, batch 1, only.")
@click.option(
    "--network", "networks", multiple=True, help="Only these. May be given several times."
)
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(3))
@click.option(
    "--loops/--no-loops",
    default=None,
    help="Time the plain-loop reference as well. [unless --quick]",
)
@click.option(
    "--memory/--no-memory",
    default=None,
    help="Peak memory as well, which Linux tells. [there, unless --quick]",
)
@click.option(
    "--out",
    default="out/cost.json",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
)
@click.pass_obj
def command(
    held: Held,
    quick: bool,
    networks: tuple[str, ...],
    rounds: int,
    loops: bool | None,
    memory: bool | None,
    out: Path,
) -> None:
    """What `explain` costs beside the network's own forward pass.

    Both take a NumPy batch and return NumPy, and run in turns. The forward pass is the faster of
    `model.predict_on_batch` and the model compiled into a `tf.function`; settings are the
    defaults. Memory is explain's peak, less the weights once, beside the peak of a forward pass
    that returns every activation. Prints a table, writes JSON: the host, and for every network the
    medians and quartiles in milliseconds, the first call in seconds, how often TensorFlow traced.
    """
    chosen = cases.QUICK if quick else cases.ALL
    known = list(dict.fromkeys(case.network for case in chosen))
    unknown = sorted(set(networks) - set(known))
    if unknown:
        raise click.UsageError(f"The networks are {known}. Received: {unknown}.")
    if memory and not can_measure():
        raise click.UsageError("Only Linux tells the peak memory. Received: --memory.")
    rows = []
    click.echo(cost.HEADER)
    for case in chosen:
        if not networks or case.network in networks:
            with_loops = not quick if loops is None else loops
            with_memory = can_measure() and not quick if memory is None else memory
            rows.append(cost.measure(case, rounds, with_loops, with_memory))
            click.echo(cost.line(rows[-1]))
    results.write(results.record("cost", held, rounds=rounds, rows=rows), out)
    click.echo(f"Written to {out}.")
