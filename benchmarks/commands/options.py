"""What the commands that compare methods on a network have in common."""

from collections.abc import Callable
from pathlib import Path

import click

from ..maps import networks
from ..maps.contenders import CONTENDERS, Contender
from ..maps.subject import Subject

method_option = click.option(
    "--method",
    "wanted",
    multiple=True,
    metavar="NAME",
    help="Compare these only; any part of a method's name. May be given several times.",
)


def network_options(command: Callable) -> Callable:
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
        method_option,
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


def subject_of(name: str, models: Path | None, preprocess: str | None) -> Subject:
    """The network that the options name; click.UsageError where there is none."""
    try:
        return Subject(networks.load(name, models or networks.MODELS, preprocess))
    except (ImportError, OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None


def methods_of(wanted: tuple[str, ...]) -> dict[str, Contender]:
    """The methods that the options name, all where they name none."""
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
