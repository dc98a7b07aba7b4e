"""Explaining folders of pictures.

`pictures` and `settings` say what, `work` does it for some pictures, `local` and `cluster` for all
that are left, `output` keeps what is done, and `job` holds them together.
"""

from importlib.util import find_spec

if find_spec("pyarrow") is None:
    raise ImportError("Folders of pictures need pyarrow: pip install 'keras-backtrack[run]'.")
