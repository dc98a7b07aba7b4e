"""The paper's Fig. 7 (dragonflies) and Fig. 8 (blurred pictures), drawn anew."""

from pathlib import Path

import numpy as np

from keras_backtrack import metrics

from .contenders import OURS
from .scoring import smooth
from .sheets import map_sheet
from .subject import Subject

# Points of one pixel would not be seen.
_SIGMAS = {"viterbi (the paper's)": 0.012, "backtrack": 0.015}
_BLURS = (0, 2, 4, 8)


def several(subject: Subject, photos: np.ndarray, path: Path) -> None:
    """Photos and what the paper's walk and the default make of the predicted classes."""
    x = subject.prepared(photos)
    scores = subject.predict(x)
    targets = scores.argmax(axis=1)
    maps = {name: smooth(OURS[name](subject)(x, targets), s) for name, s in _SIGMAS.items()}
    columns = [
        [(_title(subject, row), photo, None), *(("", photo, maps[name][i]) for name in maps)]
        for i, (photo, row) in enumerate(zip(photos, scores, strict=True))
    ]
    map_sheet(path, columns, ["photo", *maps])


def blurs(subject: Subject, photos: np.ndarray, path: Path, method: str = "backtrack") -> None:
    """Photos under ever more blur, and the map of the class predicted for the sharp one."""
    explain = OURS[method](subject)
    targets = subject.predict(subject.prepared(photos)).argmax(axis=1)
    lines, names = [], []
    for sigma in _BLURS:
        soft = metrics.blur(sigma).apply(photos) if sigma else photos
        x = subject.prepared(soft)
        scores, maps = subject.predict(x), smooth(explain(x, targets), _SIGMAS[method])
        names += [f"blur σ = {sigma} px" if sigma else "sharp", "map"]
        lines.append(
            [(_title(subject, row), photo, None) for row, photo in zip(scores, soft, strict=True)]
        )
        lines.append([("", photo, values) for photo, values in zip(soft, maps, strict=True)])
    map_sheet(path, list(zip(*lines, strict=True)), names)


def _title(subject: Subject, scores: np.ndarray) -> str:
    best = int(scores.argmax())
    return f"{subject.network.classes[best].split(', ')[0]} {scores[best]:.0%}"
