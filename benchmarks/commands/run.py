"""`python -m benchmarks run`."""

from pathlib import Path

import click

from .. import results
from ..profiles import Held


@click.command("run")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of pictures. [parts of scikit-image's photos]",
)
@click.option("--count", default=300, show_default=True, type=click.IntRange(96))
@click.option("--model", default="efficientnet-lite0", show_default=True, metavar="NAME|FILE")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--ray/--no-ray", default=False, show_default=True, help="Measure Ray's actors, too.")
@click.option(
    "--out",
    default="out/run.json",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
)
@click.pass_obj
def command(
    held: Held, images: Path | None, count: int, model: str, rounds: int, ray: bool, out: Path
) -> None:
    """Pictures a second of `keras-backtrack run`.

    Beside `explain` on arrays that are ready: what reading, cutting and writing cost. With --ray
    also two actors of one thread beside a single one, both without their start; that needs two
    cores. All in turns.
    """
    found = {}
    try:
        from ..speed import folders

        with folders.pictures(count, images) as folder:
            found["run ÷ explain"] = folders.against_arrays(folder, rounds, model)
            if ray:
                found["2 actors ÷ 1 actor"] = folders.of_actors(folder, rounds, model)
    except (ImportError, OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    for name, row in found.items():
        rates = ", ".join(
            f"{what} {rate['median']:.1f} a second"
            for what, rate in row["pictures_a_second"].items()
        )
        low, high = row["ratio_of_rounds"]["q1"], row["ratio_of_rounds"]["q3"]
        click.echo(f"{name}: {row['ratio']:.2f} [{low:.2f}, {high:.2f}]; {rates}")
    fields = {"images": str(images or "scikit-image"), "count": count, "model": model}
    results.write(results.record("run", held, rounds=rounds, **fields, rows=found), out)
    click.echo(f"Written to {out}.")
