"""`python -m keras_backtrack`: the command line."""

from .cli import main

main(prog_name="keras-backtrack")
