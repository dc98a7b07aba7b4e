"""The command line: one file for each command, and `options` for what several take."""

import os

import click

# Read when TensorFlow is imported, which happens in the commands. It leaves oneDNN off on CPUs
# without AVX512-VNNI, though they gain from it as well.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from .explain import explain
from .report import report


@click.group()
@click.version_option(package_name="keras-backtrack")
def main() -> None:
    """See why a Keras network decided what it did."""


main.add_command(explain)
main.add_command(report)
