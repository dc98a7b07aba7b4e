"""Options that several commands take."""

from collections.abc import Callable, Sequence

import click

from ..explainer.settings import METHODS


def network_options(command: Callable) -> Callable:
    """What `load_network` takes: `name`, `weights`, `preprocess`, `resize`, `allow_code`."""
    return _with(command, _NETWORK)


def walk_options(channels: int = 3, positions: int = 3) -> Callable[[Callable], Callable]:
    """What `BacktrackExplainer` takes: `method`, `top_n`, `channels`, `positions`.

    By default what tells most in a figure on the networks that can be named: the paper's single
    best path leaves too few pixels in networks with bottlenecks.
    """
    return lambda command: _with(command, _walk(channels, positions))


def check_foil(target: int | None, foil: int, given: str) -> None:
    """Raises ValueError where `--versus` is the target itself.

    Args:
        target: Number of the class to explain; None for the predicted one.
        foil: Number of the class that `--versus` names.
        given: What it was named.
    """
    if target == foil:
        raise ValueError(f"The target and --versus are one class. Received: {given!r}.")


def _with(command: Callable, options: Sequence[Callable]) -> Callable:
    for option in reversed(options):
        command = option(command)
    return command


def _limit(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    if value == "all":
        return None
    if value.isdigit() and int(value) >= 1:
        return int(value)
    raise click.BadParameter(f"must be a number of at least 1, or 'all'. Received: {value!r}.")


_NETWORK = [
    click.option(
        "--model",
        "name",
        default="efficientnet-lite0",
        show_default=True,
        metavar="NAME|FILE",
        help="efficientnet-lite0 (comes with the extra 'demo'), any name in keras.applications, or "
        "a .keras or .h5 file.",
    ),
    click.option("--weights", metavar="FILE", help="Weights for a keras.applications network."),
    click.option(
        "--preprocess",
        metavar="KIND",
        help="How pixels are prepared for a model file: none (0 to 255), unit (0 to 1), tf (-1 to "
        "1), caffe (BGR minus mean), torch (mean and deviation), lite. [none]",
    ),
    click.option(
        "--resize",
        type=click.Choice(["crop", "squeeze"]),
        help="Show the network the centre of the photo, or all of it squeezed. [crop for named "
        "networks, squeeze for files]",
    ),
    click.option("--allow-code", is_flag=True, help="Let a model file run code of its own."),
]


def _walk(channels: int, positions: int) -> list[Callable]:
    return [
        click.option(
            "--method",
            type=click.Choice(METHODS),
            default="viterbi",
            show_default=True,
            help="Follow the best contributions (the paper's), all of them, or all less what "
            "speaks against the class.",
        ),
        click.option(
            "--top-n",
            default="20",
            show_default=True,
            callback=_limit,
            help="Inputs followed from each unit of a Dense layer, or 'all'.",
        ),
        click.option(
            "--channels",
            default=str(channels),
            show_default=True,
            callback=_limit,
            help="Channels followed in a convolution, or 'all'. The paper follows 1.",
        ),
        click.option(
            "--positions",
            default=str(positions),
            show_default=True,
            callback=_limit,
            help="Positions followed in each channel, or 'all'. The paper follows 1.",
        ),
    ]
