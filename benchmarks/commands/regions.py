"""`python -m benchmarks regions`."""

from pathlib import Path

import click

from .. import results
from ..maps import regions
from ..maps.masked_photos import read_pairs
from ..profiles import Held
from .options import subject_of


@click.command("regions")
@click.option(
    "--model",
    "name",
    default="efficientnet-lite0",
    show_default=True,
    metavar="NAME|FILE",
    help="efficientnet-lite0, vgg16-caltech101, squeezenet, any name in keras.applications, or a "
    ".keras or .h5 file.",
)
@click.option("--preprocess", metavar="KIND", help="How pixels are prepared for a model file.")
@click.option(
    "--models",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the weights of vgg16-caltech101 and squeezenet. [../shared/models]",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    help="Try the mass of this layer. May be given several times. [two of a network known by name]",
)
@click.option(
    "--data",
    default=Path("../shared/data/sod"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with images/ and masks/.",
)
@click.option("--limit", type=click.IntRange(2), help="So many pairs only, evenly picked.")
@click.option(
    "--blur/--no-blur", default=True, show_default=True, help="Explain blurred ones, too."
)
@click.option(
    "--out",
    default="out/regions.json",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
)
@click.pass_obj
def command(
    held: Held,
    name: str,
    preprocess: str | None,
    models: Path | None,
    layers: tuple[str, ...],
    data: Path,
    limit: int | None,
    blur: bool,
    out: Path,
) -> None:
    """What makes salient regions better: the mass of a layer, refinement at edges.

    Pictures are squeezed to the network's input and explained for the predicted class; settings
    are chosen by 5-fold cross-validation. Prints a table, writes JSON.
    """
    subject = subject_of(name, models, preprocess)
    try:
        pairs = read_pairs(data / "images", data / "masks", subject.size, limit)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(regions.HEADER)
    tried = layers or regions.LAYERS.get(name, ())
    rows = regions.measure(subject, pairs, tried, blur, say=click.echo)
    result = results.record("regions", held, network=name, pictures=len(pairs.names), rows=rows)
    results.write(result, out)
    click.echo(f"Written to {out}.")
