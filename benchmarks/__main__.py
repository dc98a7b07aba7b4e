"""The benchmarks' command line."""

import json
import os
from pathlib import Path

import click

# Read when TensorFlow is imported, which happens in the commands.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@click.group()
def main() -> None:
    """Measure keras_backtrack on this host."""


@main.command()
@click.option("--quick", is_flag=True, help="VGG19 at 224 x 224, batch 1, only.")
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(3))
@click.option(
    "--loops/--no-loops",
    default=None,
    help="Time the plain-loop reference as well. [unless --quick]",
)
@click.option(
    "--out",
    default="out/cost.json",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
)
def cost(quick: bool, rounds: int, loops: bool | None, out: Path) -> None:
    """What `explain` costs beside the network's own forward pass.

    Both take a NumPy batch and return NumPy, and run in turns. The forward pass is the faster of
    `model.predict_on_batch` and the model compiled into a `tf.function`; settings are the
    defaults. Prints a table, writes JSON: the host, and for every network the medians and
    quartiles in milliseconds.
    """
    from .cost import ALL, HEADER, QUICK, line, measure
    from .host import describe

    loops = not quick if loops is None else loops
    rows = []
    click.echo(HEADER)
    for case in QUICK if quick else ALL:
        rows.append(measure(case, rounds, loops))
        click.echo(line(rows[-1]))
    record = {"benchmark": "cost", "rounds": rounds, "host": describe(), "rows": rows}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    click.echo(f"Written to {out}.")


@main.command()
@click.argument("networks", nargs=-1)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(3))
@click.option(
    "--out",
    default="benchmarks",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
)
def support(networks: tuple[str, ...], rounds: int, out: Path) -> None:
    """Which NETWORKS of keras.applications can be explained, by default all.

    Writes support-keras-<version>.json and SUPPORT.md, the page about all versions measured.
    """
    from . import support as networks_of_keras
    from .host import describe

    rows = []
    for name in networks or networks_of_keras.names():
        rows.append(networks_of_keras.measure(name, rounds))
        click.echo(rows[-1])
        networks_of_keras.forget()
    out.mkdir(parents=True, exist_ok=True)
    record = {"benchmark": "support", "rounds": rounds, "host": describe(), "rows": rows}
    networks_of_keras.write(record, out)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
