"""The benchmarks' command line: what holds for all commands, and where they are."""

import importlib
import os

import click

from .profiles import INSTRUCTION_SETS, PROFILES, hold

COMMANDS = ("compare", "cost", "growth", "settings", "support")


class _Commands(click.Group):
    """Imports a command when it is called: TensorFlow reads its settings when it is imported."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return importlib.import_module(f".commands.{name}", __package__).command


@click.group(cls=_Commands)
@click.option("--profile", type=click.Choice(list(PROFILES)), help="Hold this host to another.")
@click.option("--cores", type=click.IntRange(1), help="Use so many cores.")
@click.option("--isa", type=click.Choice(INSTRUCTION_SETS), help="Widest instruction set.")
@click.option("--onednn/--no-onednn", default=True, show_default=True, help="Use oneDNN.")
@click.pass_context
def main(
    context: click.Context, profile: str | None, cores: int | None, isa: str | None, onednn: bool
) -> None:
    """Measure keras_backtrack on this host.

    What a profile, --cores and --isa could not hold this host to is printed and written beside
    the results.
    """
    if context.resilient_parsing:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    held = hold(profile, cores, isa, onednn)
    for text in held.missing:
        click.echo(f"Not held: {text}.", err=True)
    context.obj = held


def _network_options(command):
    """Options of commands that compare methods on a network."""
    for option in (
        click.option(
            "--maps",
            type=click.Path(file_okay=False, path_type=Path),
            help="Folder to keep every method's maps in, for the next run. [kept in memory only]",
        ),
        click.option(
            "--models",
            type=click.Path(file_okay=False, path_type=Path),
            help="Folder of the weights of vgg16-caltech101 and squeezenet. [../shared/models]",
        ),
        click.option(
            "--preprocess",
            metavar="KIND",
            help="How pixels are prepared for a model file, as for `keras-backtrack explain`.",
        ),
        click.option(
            "--method",
            "wanted",
            multiple=True,
            metavar="NAME",
            help="Compare these only; any part of a method's name. May be given several times.",
        ),
        click.option(
            "--model",
            "name",
            default="efficientnet-lite0",
            show_default=True,
            metavar="NAME|FILE",
            help="efficientnet-lite0, vgg16-caltech101, squeezenet, any name in "
            "keras.applications, or a .keras or .h5 file.",
        ),
    ):
        command = option(command)
    return command


def _subject(name: str, models: Path | None, preprocess: str | None):
    from . import networks
    from .subject import Subject

    try:
        return Subject(networks.load(name, models or networks.MODELS, preprocess))
    except (ImportError, OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None


def _methods(wanted: tuple[str, ...]) -> dict:
    from .contenders import CONTENDERS

    unknown = [w for w in wanted if not any(w.lower() in name.lower() for name in CONTENDERS)]
    if unknown:
        raise click.UsageError(
            f"There is no such method; known are {', '.join(CONTENDERS)}. Received: {unknown[0]!r}."
        )
    if not wanted:
        return CONTENDERS
    # "CAM" is a method, though a part of other names.
    whole = {name.lower() for name in CONTENDERS}
    return {
        name: contender
        for name, contender in CONTENDERS.items()
        if any(
            w.lower() == name.lower() or (w.lower() not in whole and w.lower() in name.lower())
            for w in wanted
        )
    }


@main.command()
@_network_options
@click.option("--images", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--masks",
    type=click.Path(file_okay=False, path_type=Path),
    help="Masks named as their pictures. [the same folder, as in MSRA-B: .jpg and .png]",
)
@click.option("--limit", type=click.IntRange(2), help="So many pairs only, evenly picked.")
@click.option("--seed", default=0, show_default=True, help="Of the folds.")
@click.option(
    "--out",
    default="out/saliency",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
)
def saliency(name, wanted, preprocess, models, maps, images, masks, limit, seed, out) -> None:
    """Salient regions of all methods against masks (the paper's Table I).

    Every method explains the class the network predicts for the whole picture, squeezed to its
    input. The width of the Gaussian and the threshold are chosen by 5-fold cross-validation, never
    on the pictures that are scored. Writes table.md, table.csv, pictures.csv (the scores of each
    picture), results.json and sheet.png (the best, median and worst pictures).
    """
    from . import saliency as regions
    from .host import describe
    from .keeping import Keeper
    from .pairs import read_pairs

    subject, methods = _subject(name, models, preprocess), _methods(wanted)
    try:
        pairs = read_pairs(images, masks or images, subject.size, limit)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for text in pairs.left_out:
        click.echo(f"Left out: {text}", err=True)
    results = regions.measure(subject, pairs, methods, Keeper(name, maps), seed, click.echo)
    record = {
        "benchmark": "saliency",
        "network": name,
        "pictures": len(pairs.names),
        "left_out": pairs.left_out,
        "seed": seed,
        "host": describe(),
        "rows": regions.rows(results),
    }
    regions.write(record, pairs, results, out)
    if results.scored:
        regions.sheet(out / "sheet.png", pairs, results)
    click.echo(regions.table(record["rows"]))
    click.echo(f"Written to {out}.")


@main.command()
@_network_options
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
    type=click.Choice(("faithful", "blurred", "discriminating", "randomised")),
    help="Measure these only, besides the pointing game. May be given several times.",
)
@click.option("--limit", type=click.IntRange(2), help="So many pairs only, evenly picked.")
@click.option("--photos", type=click.IntRange(1), help="So many photos only, evenly picked.")
@click.option(
    "--few", default=10, show_default=True, type=click.IntRange(1), help="Photos for `randomised`."
)
@click.option("--figures/--no-figures", default=True, help="Draw figure-7 and figure-8.")
@click.option(
    "--out",
    default="out/truth",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
)
def truth(
    name, wanted, preprocess, models, maps, data, kinds, limit, photos, few, figures, out
) -> None:
    """Whether the maps tell what the network looked at.

    On pairs of pictures and masks: the pointing game, and how regions survive a blur. On photos:
    insertion and deletion, and how much maps change with the class asked about and with layers
    randomised. Writes tables (NETWORK.md), numbers (NETWORK.json), and the paper's Figs. 7 and 8
    drawn anew.
    """
    from . import figures as draw
    from . import truth as truths
    from .host import describe
    from .keeping import Keeper
    from .pairs import read_pairs, read_photos, some
    from .truth_page import page

    subject, methods = _subject(name, models, preprocess), _methods(wanted)
    try:
        pairs = read_pairs(data / "sod/images", data / "sod/masks", subject.size, limit)
        seen = read_photos(some(data / "imagenet", photos), subject.size)
        dragonflies = read_photos(some(data / "dragonfly"), subject.size) if figures else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    out.mkdir(parents=True, exist_ok=True)
    stem = Path(name).stem
    record = {"benchmark": "truth", "network": name, "host": describe()}
    for found in truths.measure(
        subject, pairs, seen, methods, Keeper(name, maps), kinds or truths.KINDS, few, click.echo
    ):
        # Written after each step: it takes hours.
        record |= found
        text = json.dumps(record, indent=1) + "\n"
        (out / f"{stem}.json").write_text(text, encoding="utf-8")
        (out / f"{stem}.md").write_text(page(record), encoding="utf-8")
    click.echo(page(record))
    if figures:
        draw.several(subject, dragonflies, out / f"figure-7-{stem}.png")
        draw.blurs(subject, seen[:: max(len(seen) // 6, 1)][:6], out / f"figure-8-{stem}.png")
    click.echo(f"Written to {out}.")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
