"""The command line: one file for each command, and `options` for what several take."""

import os

import click

from .. import runtime
from .doctor import doctor
from .explain import explain
from .report import report
from .run import merge, run


@click.group()
@click.version_option(package_name="keras-backtrack")
@click.pass_context
def main(context: click.Context) -> None:
    """See why a Keras network decided what it did."""
    context.obj = dict(os.environ)  # As the user left it, for `doctor`.
    # TensorFlow reads it when it is imported, which happens in the commands.
    runtime.set_defaults(os.environ)


main.add_command(explain)
main.add_command(report)
main.add_command(run)
main.add_command(merge)
main.add_command(doctor)
