"""Options that several commands take."""

from collections.abc import Callable, Sequence

import click

from ..explainer.settings import METHODS, check_contrast, check_method


def network_options(command: Callable) -> Callable:
    """What `load_network` takes: `name`, `weights`, `preprocess`, `resize`, `allow_code`."""
    return _with(command, _NETWORK)


def walk_options(command: Callable) -> Callable:
    """What `BacktrackExplainer` takes, with its defaults: `method`, `contrast` and so on."""
    return _with(command, _WALK)


def question_options(command: Callable) -> Callable:
    """What `explain` takes besides a target: `versus` and `side`."""
    return _with(command, _QUESTION)


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


def _method(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        return check_method(value, False)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _contrast(context: click.Context, parameter: click.Parameter, value: str) -> bool | float:
    if value in ("on", "off"):
        return value == "on"
    try:
        number = float(value)
        check_contrast(number, False)
    except ValueError:
        raise click.BadParameter(
            f"must be 'on', 'off', or a number from 0 to 1. Received: {value!r}."
        ) from None
    return number


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

_WALK = [
    click.option(
        "--method",
        metavar="|".join(METHODS),
        default="backtrack",
        show_default=True,
        callback=_method,
        help="Which paths are followed back: all of them while maps are small and the best from "
        "there to the pixels (backtrack), the best only (viterbi, the paper's), or all of them "
        "down to the pixels (posterior).",
    ),
    click.option(
        "--contrast",
        metavar="on|off|NUMBER",
        default="on",
        show_default=True,
        callback=_contrast,
        help="Whether what speaks against the class counts as well, so that each class has a map "
        "of its own. A number says how far ahead a place must be: 1 shows only what sets the "
        "class off, 0 whole objects. 'on' is 0.25; 'off' asks why the class is high, as the paper.",
    ),
    click.option(
        "--down-to",
        metavar="LAYER",
        help="Layer where the way back ends; what is below costs nothing, and pixels are the "
        "middles of its cells. [the input]",
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
        default="1",
        show_default=True,
        callback=_limit,
        help="Channels followed in a convolution, or 'all'.",
    ),
    click.option(
        "--positions",
        default="1",
        show_default=True,
        callback=_limit,
        help="Positions followed in each channel, or 'all'.",
    ),
]

_QUESTION = [
    click.option(
        "--versus",
        metavar="CLASS",
        help="Foil, the class to compare the target with: why the one and not the other.",
    ),
    click.option(
        "--side",
        type=click.Choice(["high", "low"]),
        help="Why the target is as high as it is, or as low. [high; of a network with a single "
        "output the side that it is on]",
    ),
]
