"""RISE in code of our own."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from .subject import Subject

MASKS = 200  # The paper has 4,000 and more; so many already take seconds a picture.
_CELLS, _SHARE = 7, 0.5  # of the coarse masks, as in the paper
_BATCH = 32


def rise(subject: Subject, masks: int = MASKS, seed: int = 0) -> Callable:
    """RISE (Petsiuk et al., *RISE: Randomized input sampling for explanation of black-box models*,
    BMVC 2018).

    The picture is shown through random masks; a pixel's value is the mean probability of the class
    over the masks that show it (their eq. 6). Pixels that are hidden are 0, the mean colour of
    these networks' preprocessing. A map's minimum is taken off, for it is what any mask does.

    Args:
        subject: The network.
        masks: How many.
        seed: Of the masks, which are the same for all pictures.
    """
    drawn = random_masks(masks, subject.size, seed)

    def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
        found, known = [], {}
        for image, target in zip(x, targets, strict=True):
            # The masks know no class: of one picture all classes have the same scores.
            key = image.tobytes()
            if key not in known:
                known = {key: _scores(subject, image, drawn)}
            found.append(np.tensordot(known[key][:, target], drawn, 1) / (masks * _SHARE))
        maps = np.stack(found).astype(np.float32)
        return maps - maps.min(axis=(1, 2), keepdims=True)

    return explain


def random_masks(count: int, size: tuple[int, int], seed: int) -> np.ndarray:
    """Coarse masks enlarged bilinearly and cut at a random place: (count, h, w) float32 in [0, 1].

    Args:
        count: How many.
        size: Height and width.
        seed: Of the masks.
    """
    rng = np.random.default_rng(seed)
    cell = [-(-side // _CELLS) for side in size]
    grids = (rng.random((count, _CELLS, _CELLS, 1)) < _SHARE).astype(np.float32)
    large = tf.image.resize(grids, [(_CELLS + 1) * side for side in cell]).numpy()[..., 0]
    shifts = [rng.integers(0, side, count) for side in cell]
    height, width = size
    return np.stack(
        [mask[y : y + height, x : x + width] for mask, y, x in zip(large, *shifts, strict=True)]
    )


def _scores(subject: Subject, image: np.ndarray, masks: np.ndarray) -> np.ndarray:
    parts = (masks[i : i + _BATCH, ..., None] for i in range(0, len(masks), _BATCH))
    return np.concatenate([subject.predict(image * part) for part in parts])
