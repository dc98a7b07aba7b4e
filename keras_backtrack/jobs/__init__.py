"""Explaining folders of pictures.

`pictures` and `settings` say what, `work` does it for some pictures, `local` and `cluster` for all
that are left, `output` keeps what is done, and `job` holds them together.
"""

from importlib.util import find_spec

_MISSING = [package for package in ("pyarrow", "tqdm") if find_spec(package) is None]
if _MISSING:
    raise ImportError(
        f"Folders of pictures need {' and '.join(_MISSING)}: pip install 'keras-backtrack[run]'."
    )
