"""Do the maps tell the truth? What can be asked of them beyond masks.

All maps are smoothed with the width that suited the method on the pairs of `benchmarks saliency`:
other pictures, or in `blurred` the same, but there masks do not count.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from keras_backtrack import metrics

from . import grid, saliency
from .contenders import Contender, Explain
from .keeping import Keeper
from .masked_photos import Pairs
from .scoring import interval, smooth, usual
from .subject import Subject

KINDS = ("faithful", "blurred", "discriminating", "wrong classes", "randomised", *grid.KINDS)
BLUR = 2.0  # pixels of the network's input
SHARES = (0.25, 0.5, 0.75, 1.0)
_STEPS = 20  # of insertion and deletion


class Method(NamedTuple):
    """A method that is ready to explain, and how its maps become regions.

    Attributes:
        explain: From images and targets to raw maps.
        sigma: In shares of the longer side.
        threshold: A share of the smoothed map's maximum.
    """

    explain: Explain
    sigma: float
    threshold: float


def measure(
    subject: Subject,
    pairs: Pairs,
    photos: np.ndarray,
    methods: Mapping[str, Contender],
    keeper: Keeper,
    kinds: Sequence[str] = KINDS,
    few: int = 10,
    say: Callable[[str], None] = print,
) -> Iterator[dict]:
    """Measures method after method.

    Args:
        subject: The network.
        pairs: Pictures with masks.
        photos: (M, h, w, 3) uint8, pictures without.
        methods: By name.
        keeper: Keeps the maps.
        kinds: Which of `KINDS`.
        few: How many of the photos are for `randomised`, which explains them over and over, and how
            many mosaics there are of each size.
        say: Told what is done, and what did not work.

    Yields:
        What is known so far, the same dict each time: how many pictures each kind saw, and a row
        for each method.
    """
    results = saliency.measure(subject, pairs, methods, keeper, say=say)
    chosen = photos[:: max(len(photos) // few, 1)][:few]
    counts = dict.fromkeys(("faithful", "discriminating", "wrong classes"), len(photos))
    counts |= dict.fromkeys(("pointing", "blurred"), len(pairs.photos))
    counts |= {"randomised": len(chosen), **dict.fromkeys(grid.KINDS, few)}
    grids = grid.Grids(subject, photos, few)
    rows = {name: {"error": text} for name, text in results.errors.items()}
    for name, scored in results.scored.items():
        sigma, threshold = usual(scored.settings)
        rows[name] = {"sigma": sigma, "threshold": threshold, "pointing": summary(scored.values)}
    yield {"counts": counts, "rows": rows}
    for name, scored in results.scored.items():
        method = Method(methods[name](subject), *usual(scored.settings))
        found = {
            "faithful": lambda m: faithful(subject, photos, *m, keeper),
            "blurred": lambda m: blurred(subject, pairs.photos, *m, keeper),
            "discriminating": lambda m: discriminating(subject, photos, *m, keeper),
            "wrong classes": lambda m: wrong_classes(subject, photos, *m, keeper),
            "randomised": lambda m: randomised(subject, chosen, *m),
            **{kind: partial(_in_cells, grids, kind, methods) for kind in grid.KINDS},
        }
        for kind in kinds:
            try:
                rows[name][kind] = summary(found[kind]((name, method)))
            except Exception as error:  # What the others do is worth having.
                rows[name].setdefault("failed", {})[kind] = saliency.describe(error)
                say(f"{name}, {kind}: {saliency.describe(error)}")
            yield {"counts": counts, "rows": rows}
        say(f"{name}: done")


def _in_cells(
    grids: grid.Grids, kind: str, methods: Mapping[str, Contender], named: tuple[str, Method]
) -> dict[str, np.ndarray]:
    name, method = named
    return grids.measure(kind, methods[name], method.sigma)


def faithful(
    subject: Subject, photos: np.ndarray, name: str, method: Method, keeper: Keeper
) -> dict[str, np.ndarray]:
    """Insertion, deletion and their difference for the predicted classes, of each picture.

    The score is the soft-max probability; deleted pixels become 0 (the mean colour of these
    networks' preprocessing), inserted ones appear on the blurred picture; 20 steps.
    """
    x = subject.prepared(photos)
    targets = subject.predict(x).argmax(axis=1)
    maps = smooth(keeper.maps(name, "photos", x, targets, method.explain)[0], method.sigma)
    options = {"steps": _STEPS, "average": None}
    inserted = metrics.insertion(subject.predict, x, maps, targets, **options)
    deleted = metrics.deletion(subject.predict, x, maps, targets, **options)
    return {"insertion": inserted, "deletion": deleted, "difference": inserted - deleted}


def discriminating(
    subject: Subject, photos: np.ndarray, name: str, method: Method, keeper: Keeper
) -> dict[str, np.ndarray]:
    """Rank correlation and Pearson's of the maps of the predicted class and a random other one."""
    x = subject.prepared(photos)
    scores = subject.predict(x)
    targets, classes = scores.argmax(axis=1), scores.shape[1]
    # Any but the predicted class.
    drawn = np.random.default_rng(0).integers(1, classes, len(x))
    others = (targets + drawn) % classes
    a = smooth(keeper.maps(name, "photos", x, targets, method.explain)[0], method.sigma)
    b = smooth(keeper.maps(name, "other classes", x, others, method.explain)[0], method.sigma)
    return {
        "rank_correlation": metrics.rank_correlation(a, b, average=None),
        "pearson": np.array([_pearson(p, q) for p, q in zip(a, b, strict=True)]),
    }


def wrong_classes(
    subject: Subject, photos: np.ndarray, name: str, method: Method, keeper: Keeper
) -> dict[str, np.ndarray]:
    """Correlations of the maps of two random classes, neither of them predicted; and how many of
    the maps are empty: an empty map is like no other, and says nothing.

    The predicted class often is what its map is different for: wrong ones may share theirs.

    Raises:
        ValueError: If there are fewer than three classes.
    """
    x = subject.prepared(photos)
    scores = subject.predict(x)
    targets, classes = scores.argmax(axis=1), scores.shape[1]
    if classes < 3:
        raise ValueError(f"There must be two wrong classes. Received: {classes} classes.")
    rng = np.random.default_rng(1)
    drawn = np.array([rng.choice(classes - 1, 2, replace=False) + 1 for _ in x])
    raw = (
        keeper.maps(name, of, x, (targets + step) % classes, method.explain)[0]
        for of, step in zip(("wrong classes", "other wrong classes"), drawn.T, strict=True)
    )
    a, b = (smooth(maps, method.sigma) for maps in raw)
    return {
        "rank_correlation": metrics.rank_correlation(a, b, average=None),
        "pearson": np.array([_pearson(p, q) for p, q in zip(a, b, strict=True)]),
        "empty": np.mean([m.max(axis=(1, 2)) <= 0 for m in (a, b)], axis=0),
    }


def blurred(
    subject: Subject, photos: np.ndarray, name: str, method: Method, keeper: Keeper
) -> dict[str, np.ndarray]:
    """IoU of the regions before and after a blur of the pictures, and where the class changed.

    Both maps are of the class that the network predicts for the sharp picture.
    """
    sharp = subject.prepared(photos)
    soft = subject.prepared(metrics.blur(BLUR).apply(photos))
    targets = subject.predict(sharp).argmax(axis=1)
    before, after = (
        smooth(keeper.maps(name, of, x, targets, method.explain)[0], method.sigma)
        >= method.threshold
        for of, x in (("pairs", sharp), ("blurred pairs", soft))
    )
    changed = subject.predict(soft).argmax(axis=1) != targets
    return {
        "iou": metrics.iou(after, before, average=None),
        "class_changed": changed.astype(np.float64),
    }


def randomised(
    subject: Subject, photos: np.ndarray, name: str, method: Method
) -> dict[str, dict[str, np.ndarray]]:
    """Likeness to the true map with shares of the layers random, the output's first, by share:
    rank correlation of the raw and the smoothed maps, SSIM of the smoothed, of each picture.
    """
    x = subject.prepared(photos)
    targets = subject.predict(x).argmax(axis=1)

    def compare(before: np.ndarray, after: np.ndarray) -> dict[str, np.ndarray]:
        a, b = smooth(before, method.sigma), smooth(after, method.sigma)
        return {
            "raw": metrics.rank_correlation(before, after, average=None),
            "smoothed": metrics.rank_correlation(a, b, average=None),
            "ssim": metrics.ssim(a, b, average=None),
        }

    steps = metrics.cascading_randomization(
        subject.model, lambda: method.explain(x, targets), compare, shares=SHARES
    )
    return {f"{step.share:.2f}": step.likeness for step in steps}


def summary(values: dict) -> dict:
    """Means and 95 % bootstrap intervals in place of the pictures' values."""
    return {
        key: summary(value)
        if isinstance(value, dict)
        else {"mean": float(value.mean()), "95": interval(value)}
        for key, value in values.items()
    }


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if np.ptp(a) and np.ptp(b) else 0.0
