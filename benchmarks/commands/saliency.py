"""`python -m benchmarks saliency`."""

from pathlib import Path

import click

from keras_backtrack.pictures.refine import REFINEMENTS

from .. import results
from ..maps import saliency
from ..maps.keeping import Keeper
from ..maps.masked_photos import read_pairs
from ..profiles import Held
from .options import methods_of, network_options, subject_of


@click.command("saliency")
@network_options
@click.option("--images", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--masks",
    type=click.Path(file_okay=False, path_type=Path),
    help="Masks named as their pictures. [the same folder, as in MSRA-B: .jpg and .png]",
)
@click.option("--limit", type=click.IntRange(2), help="So many pairs only, evenly picked.")
@click.option("--seed", default=0, show_default=True, help="Of the folds.")
@click.option(
    "--refine",
    type=click.Choice(REFINEMENTS),
    help="Refine every method's maps at the pictures' edges (extra `regions`).",
)
@click.option(
    "--out",
    default="out/saliency",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
)
@click.pass_obj
def command(
    held: Held,
    name: str,
    wanted: tuple[str, ...],
    preprocess: str | None,
    models: Path | None,
    maps: Path | None,
    images: Path,
    masks: Path | None,
    limit: int | None,
    seed: int,
    refine: str | None,
    out: Path,
) -> None:
    """Salient regions of all methods against masks (the paper's Table I).

    Every method explains the class the network predicts for the whole picture, squeezed to its
    input. The width of the Gaussian and the threshold are chosen by 5-fold cross-validation, never
    on the pictures that are scored. Writes table.md, table.csv, pictures.csv (the scores of each
    picture), results.json and sheet.png (the best, median and worst pictures).
    """
    subject, methods = subject_of(name, models, preprocess), methods_of(wanted)
    try:
        pairs = read_pairs(images, masks or images, subject.size, limit)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for text in pairs.left_out:
        click.echo(f"Left out: {text}", err=True)
    found = saliency.measure(subject, pairs, methods, Keeper(name, maps), seed, click.echo, refine)
    record = results.record(
        "saliency",
        held,
        network=name,
        pictures=len(pairs.names),
        left_out=pairs.left_out,
        seed=seed,
        refine=refine,
        rows=saliency.rows(found),
    )
    saliency.write(record, pairs, found, out)
    if found.scored:
        saliency.sheet(out / "sheet.png", pairs, found)
    click.echo(saliency.table(record["rows"]))
    click.echo(f"Written to {out}.")
