"""The benchmarks' command line: what holds for all commands, and where they are."""

import importlib
import os
from typing import Any

import click

from .profiles import INSTRUCTION_SETS, PROFILES, hold

COMMANDS = (
    "compare",
    "cost",
    "growth",
    "libraries",
    "peers",
    "planted",
    "regions",
    "run",
    "saliency",
    "settings",
    "support",
    "truth",
)


class _Commands(click.Group):
    """Imports a command when it is called: TensorFlow reads its settings when it is imported."""

    def invoke(self, context: click.Context) -> Any:
        # The command is looked up, which imports it, before the group's own function is called.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        context.obj = held = hold(**context.params)
        for text in held.missing:
            click.echo(f"Not held: {text}.", err=True)
        return super().invoke(context)

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
def main(**held: Any) -> None:
    """Measure keras_backtrack on this host.

    What a profile, --cores and --isa could not hold this host to is printed and written beside
    the results.
    """


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
