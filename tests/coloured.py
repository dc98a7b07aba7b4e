"""Pictures of something red or blue, and the benchmarks' commands that explain them."""

import numpy as np
from click.testing import CliRunner
from PIL import Image

from benchmarks.__main__ import main


def write_picture(rng, path, mask_path):
    """A red or blue rectangle, off the centre, on grey noise."""
    photo = rng.integers(90, 130, (60, 80, 1)).repeat(3, axis=-1).astype(np.uint8)
    mask = np.zeros((60, 80), np.uint8)
    top, left = rng.choice([2, 34]), rng.choice([3, 48])
    place = slice(top, top + rng.integers(18, 25)), slice(left, left + rng.integers(20, 30))
    mask[place] = 255
    photo[place] = [(220, 30, 30), (30, 30, 220)][rng.integers(2)]
    Image.fromarray(photo).save(path, quality=95)
    if mask_path is not None:
        Image.fromarray(mask).save(mask_path)


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result
