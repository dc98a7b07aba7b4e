"""`python -m benchmarks truth`."""

from pathlib import Path

import click

from .. import results
from ..maps import figures, truth
from ..maps.keeping import Keeper
from ..maps.masked_photos import read_pairs, read_photos, some
from ..maps.truth_page import page
from ..profiles import Held
from .options import methods_of, network_options, subject_of


@click.command("truth")
@network_options
@click.option(
    "--data",
    default=Path("../shared/data"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with sod/images and sod/masks (pairs), imagenet (photos) and dragonfly.",
)
@click.option(
    "--row",
    "kinds",
    multiple=True,
    type=click.Choice(truth.KINDS),
    help="Measure these only, besides the pointing game. May be given several times.",
)
@click.option("--limit", type=click.IntRange(2), help="So many pairs only, evenly picked.")
@click.option("--photos", type=click.IntRange(1), help="So many photos only, evenly picked.")
@click.option(
    "--few",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="Photos for `randomised`, and mosaics of each size.",
)
@click.option("--figures/--no-figures", "draw", default=True, help="Draw figure-7 and figure-8.")
@click.option(
    "--out",
    default="out/truth",
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
    data: Path,
    kinds: tuple[str, ...],
    limit: int | None,
    photos: int | None,
    few: int,
    draw: bool,
    out: Path,
) -> None:
    """Whether the maps tell what the network looked at.

    On pairs of pictures and masks: the pointing game, and how regions survive a blur. On photos:
    insertion and deletion, and how much maps change with the class asked about and with layers
    randomised. On mosaics of photos: how much of a map lies in the photo asked about (`grid`;
    `difull` and `dipart`, where photos go through copies of the network). Writes tables
    (NETWORK.md), numbers (NETWORK.json), and the paper's Figs. 7 and 8 drawn anew.
    """
    subject, methods = subject_of(name, models, preprocess), methods_of(wanted)
    try:
        pairs = read_pairs(data / "sod/images", data / "sod/masks", subject.size, limit)
        seen = read_photos(some(data / "imagenet", photos), subject.size)
        dragonflies = read_photos(some(data / "dragonfly"), subject.size) if draw else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    stem = Path(name).stem
    record = results.record("truth", held, network=name)
    for found in truth.measure(
        subject, pairs, seen, methods, Keeper(name, maps), kinds or truth.KINDS, few, click.echo
    ):
        # Written after each step: it takes hours.
        record |= found
        results.write(record, out / f"{stem}.json")
        (out / f"{stem}.md").write_text(page(record), encoding="utf-8")
    click.echo(page(record))
    if draw:
        figures.several(subject, dragonflies, out / f"figure-7-{stem}.png")
        figures.blurs(subject, seen[:: max(len(seen) // 6, 1)][:6], out / f"figure-8-{stem}.png")
    click.echo(f"Written to {out}.")
