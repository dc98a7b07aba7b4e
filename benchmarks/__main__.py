"""The benchmarks' command line: what holds for all commands, and where they are."""

import importlib
import os

import click

from .profiles import INSTRUCTION_SETS, PROFILES, hold

COMMANDS = (
    "compare",
    "cost",
    "growth",
    "peers",
    "regions",
    "run",
    "saliency",
    "settings",
    "support",
    "truth",
)


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
@click.option(
    "--itex/--no-itex",
    default=True,
    show_default=True,
    help="Use Intel Extension for TensorFlow, where it is installed.",
)
@click.pass_context
def main(
    context: click.Context,
    profile: str | None,
    cores: int | None,
    isa: str | None,
    onednn: bool,
    itex: bool,
) -> None:
    """Measure keras_backtrack on this host.

    What a profile, --cores and --isa could not hold this host to is printed and written beside
    the results.
    """
    if context.resilient_parsing:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    held = hold(profile, cores, isa, onednn, itex)
    for text in held.missing:
        click.echo(f"Not held: {text}.", err=True)
    context.obj = held


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
