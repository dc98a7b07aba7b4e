"""Folders of pictures: how many of them `keras-backtrack run` explains in a second."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from keras_backtrack import BacktrackExplainer
from keras_backtrack.jobs import job, local
from keras_backtrack.jobs.batches import read_batches
from keras_backtrack.jobs.output import Output
from keras_backtrack.jobs.pictures import find_pictures
from keras_backtrack.jobs.settings import Settings
from keras_backtrack.models.networks import load_network
from keras_backtrack.runtime.host import usable_cpus

from .timing import alternate, summary

_SIZE = (375, 500)  # The usual size of ImageNet's photos.
_PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


@contextmanager
def pictures(number: int, source: Path | None = None) -> Iterator[Path]:
    """A folder of so many pictures, which goes away.

    Args:
        number: How many.
        source: Where they are from, over and over where there are fewer. By default parts of
            scikit-image's photos, of the size that ImageNet's usually have, as JPEG.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if source is None:
            _write_photos(folder, number)
        else:
            found = find_pictures(str(source))
            for i in range(number):
                original = Path(found[i % len(found)])
                (folder / f"{i:05}{original.suffix}").symlink_to(original)
        yield folder


def _write_photos(folder: Path, number: int) -> None:
    import skimage.data

    rng, photos = np.random.default_rng(0), [getattr(skimage.data, name)() for name in _PHOTOS]
    for i in range(number):
        photo = Image.fromarray(photos[i % len(photos)])
        left, top = (int(rng.integers(length // 4)) for length in photo.size)
        part = photo.crop((left, top, left + photo.width * 3 // 4, top + photo.height * 3 // 4))
        part.resize(_SIZE[::-1]).save(folder / f"{i:05}.jpg", quality=90)


def against_arrays(images: Path, rounds: int, model: str) -> dict:
    """Times `run` on a folder, in turns with `explain` on what the network sees of its pictures.

    Both do so with a program that is compiled.

    Args:
        images: The folder.
        rounds: How often.
        model: As `load_network` takes it.

    Returns:
        Pictures a second of both, and `run`'s ÷ `explain`'s.
    """
    settings, network = Settings(model=model), load_network(model)
    paths, size = find_pictures(str(images)), settings.batch_size
    x = np.concatenate([batch.x for batch in read_batches(paths, size, network, usable_cpus())])
    explainer = BacktrackExplainer(network.model)
    engine = local.Engine(settings)
    with tempfile.TemporaryDirectory() as folder:
        numbers = count()
        times = alternate(
            {
                "run": lambda: job.run(
                    str(images), Path(folder) / str(next(numbers)), settings, lambda _: engine
                ),
                "explain": lambda: explainer.explain(x, batch_size=settings.batch_size),
            },
            rounds,
            warm_up=1,
        )
    rates = {name: 1000 * len(x) / milliseconds for name, milliseconds in times.items()}
    return _compared(rates, "run", "explain")


def of_actors(images: Path, rounds: int, model: str, actors: int = 2) -> dict:
    """Times Ray actors with a thread each, in turns with a single one; without their start.

    Args:
        images, rounds, model: As for `against_arrays`.
        actors: How many.

    Returns:
        Pictures a second of both, and the actors' ÷ the single one's.
    """
    from keras_backtrack.jobs import cluster

    several, one = f"{actors} actors", "1 actor"
    # Small parts, as few pictures must keep all of them busy.
    settings = Settings(model=model, part_size=16)
    found: dict[str, list[float]] = {several: [], one: []}
    for _ in range(rounds):
        for name, number in ((several, actors), (one, 1)):
            with tempfile.TemporaryDirectory() as folder:
                output = Output(Path(folder) / "out", find_pictures(str(images)), settings)
                output.begin()
                with mock.patch.object(cluster, "Actor", _timed(Path(folder))):
                    engine = cluster.Engine(settings, actors=number, threads=1)
                    engine.run(output, output.missing(), lambda count: None)
                found[name].append(steady_rate([*map(_read, Path(folder).glob("*.times"))]))
    return _compared({name: np.array(rates) for name, rates in found.items()}, several, one)


def _timed(folder: Path) -> type:
    """An actor that writes down when it got done with how many pictures."""
    from keras_backtrack.jobs import cluster

    class Timed(cluster.Actor):
        def __call__(self, item: dict) -> dict:
            row = super().__call__(item)
            with (folder / f"{os.getpid()}.times").open("a") as file:
                file.write(f"{time.time()} {len(item['paths'])}\n")
            return row

    return Timed


def _read(path: Path) -> list[tuple[float, int]]:
    lines = (line.split() for line in path.read_text().splitlines())
    return [(float(seconds), int(number)) for seconds, number in lines]


def steady_rate(actors: list[list[tuple[float, int]]]) -> float:
    """Pictures a second while all actors are at work.

    Args:
        actors: Of each the moments, in seconds, at which it got done with so many more pictures.
            All have begun when each got done with its first, and end with the first to stop.

    Raises:
        ValueError: If some got done with nothing in between.
    """
    begin, end = max(times[0][0] for times in actors), min(times[-1][0] for times in actors)
    total = 0.0
    for times in actors:
        (first, _), *rest = [(moment, n) for moment, n in times if begin <= moment <= end] or [
            (0, 0)
        ]
        if not rest:
            raise ValueError(
                "There are too few pictures to keep all actors busy. Received: "
                f"{sum(n for times in actors for _, n in times)} pictures."
            )
        total += sum(n for _, n in rest) / (rest[-1][0] - first)
    return total


def _compared(rates: dict[str, np.ndarray], first: str, second: str) -> dict:
    return {
        "pictures_a_second": {name: summary(values) for name, values in rates.items()},
        "ratio": round(float(np.median(rates[first]) / np.median(rates[second])), 3),
        "ratio_of_rounds": summary(rates[first] / rates[second]),
    }
