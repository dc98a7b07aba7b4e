"""One explainer for a long time, and for several threads at once.

`python tests/soak.py` does it at full size; tests do less of it.
"""

import argparse
import gc
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras

layers = keras.layers
METHODS = ("viterbi", "posterior", "backtrack")
FLAT = 20  # MB that the later half may hold more: allocators keep some.


def network():
    """Of all kinds a little, quick to run."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, activation="relu", padding="same")(image)
    y = layers.BatchNormalization()(layers.Conv2D(8, 1)(x))
    x = layers.MaxPooling2D()(layers.Add()([x, y]))
    x = layers.Conv2D(12, 3, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


def images(number: int) -> np.ndarray:
    """1 to 3 images, as the number says."""
    rng = np.random.default_rng(number)
    return rng.normal(size=(1 + number % 3, 32, 32, 3)).astype(np.float32)


def megabytes() -> float:
    """What this process holds now; where that is not known, the most that it ever held."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    import resource  # Not everywhere.

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def looked_at(explainer: BacktrackExplainer, number: int) -> list[np.ndarray]:
    """An explanation, every fourth of them a contrast, and its views."""
    target = number % 5
    versus = (target + 1) % 5 if number % 4 == 0 else None
    e = explainer.explain(images(number), target, versus=versus)
    return [e.scores, e.lost, e.mass_map(), e.attention(), e.saliency(), *e.boxes()]


def soak(method: str, count: int, every: int) -> list[float]:
    """Explains again and again, new images each time.

    Args:
        method: The explainer's.
        count: How many explanations.
        every: After how many memory is read.

    Returns:
        The megabytes held, first behind a warm-up of `every`.
    """
    explainer, held = BacktrackExplainer(network(), method=method), []
    for number in range(every + count):
        looked_at(explainer, number)
        if (number + 1) % every == 0:
            gc.collect()
            held.append(megabytes())
    return held


def growth(held: list[float]) -> float:
    """By how many megabytes the later half holds more than the earlier."""
    half = len(held) // 2
    return float(np.median(held[half:]) - np.median(held[:half]))


def together(method: str, threads: int, count: int) -> int:
    """Asks one explainer from several threads at once.

    Returns:
        How many answers differ from those to a single thread.
    """
    explainer = BacktrackExplainer(network(), method=method)
    # Traced by the first, whichever thread that is; what each should get comes from another one.
    alone = BacktrackExplainer(explainer.model, method=method)
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(partial(looked_at, explainer), range(count)))
    expected = (looked_at(alone, number) for number in range(count))
    return sum(
        not all(map(np.array_equal, one, other)) for one, other in zip(found, expected, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--explanations", type=int, default=5000, help="over all methods")
    arguments, failed = parser.parse_args(), 0
    count = arguments.explanations // len(METHODS)
    for method in METHODS:
        held = soak(method, count, max(count // 10, 1))
        print(f"{method}: MB {' '.join(f'{m:.0f}' for m in held)}, grew by {growth(held):.1f}")
        differ = together(method, 8, 200)
        print(f"{method}: of 200 explanations on 8 threads {differ} differ", flush=True)
        failed += (growth(held) > FLAT) + (differ > 0)
    sys.exit(failed)


if __name__ == "__main__":
    main()
