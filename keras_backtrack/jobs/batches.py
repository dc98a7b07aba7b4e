"""Pictures from files, read and cut for a network in parallel with its work."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ..models.networks import Network
from ..pictures.photos import Frame, PhotoError, open_photo

_AHEAD = 2  # batches


@dataclass(frozen=True)
class Batch:
    """Some pictures, read.

    Attributes:
        paths: Of those that could be read.
        frames: The part of each that the network sees.
        x: What it sees of them, (N, h, w, 3) float32, preprocessed.
        failed: Paths of the others, each with the reason.
    """

    paths: list[str]
    frames: list[Frame]
    x: np.ndarray
    failed: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.paths) + len(self.failed)


def read_batches(
    paths: Sequence[str], batch_size: int, network: Network, threads: int
) -> Iterator[Batch]:
    """Reads pictures in their order, with more threads than one ahead of what is asked for.

    Args:
        paths: The files.
        batch_size: How many are read into a batch; those that cannot be read leave gaps.
        network: What they are read for.
        threads: How many pictures are read at once.
    """
    frame, size = network.frame, network.size

    def read(number: int) -> tuple[np.ndarray, np.ndarray, bytes]:
        try:
            photo = open_photo(paths[number])
            shape = photo.height, photo.width
            return frame(shape, size).cut(photo), np.array(shape, np.int64), b""
        except PhotoError as error:
            reason = str(error).encode("utf-8", "backslashreplace")
            return np.zeros((*size, 3), np.uint8), np.zeros(2, np.int64), reason

    def load(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        seen, photo, reason = tf.numpy_function(read, [number], (tf.uint8, tf.int64, tf.string))
        return number, tf.ensure_shape(seen, (*size, 3)), tf.ensure_shape(photo, (2,)), reason

    def prepare(number: tf.Tensor, seen: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return number, tf.numpy_function(network.preprocess, [seen], tf.float32), *rest

    numbers = tf.data.Dataset.range(len(paths))
    options = tf.data.Options()
    # Nothing is left to tune, and the thread that would may keep the end waiting for seconds.
    options.autotune.enabled = False
    if threads > 1:
        # Pillow decodes and scales outside of Python's lock, so threads do.
        read_ahead = numbers.map(load, num_parallel_calls=threads, deterministic=True)
        batches = read_ahead.batch(batch_size).map(prepare).prefetch(_AHEAD)
    else:
        options.experimental_optimization.apply_default_optimizations = False  # These read ahead.
        batches = numbers.map(load).batch(batch_size).map(prepare)
    for numbers, x, photos, reasons in batches.with_options(options).as_numpy_iterator():
        names = [paths[number] for number in numbers]
        good = np.array([not reason for reason in reasons])
        yield Batch(
            [name for name, fine in zip(names, good, strict=True) if fine],
            [frame((int(h), int(w)), size) for h, w in photos[good]],
            x if good.all() else x[good],
            [(name, r.decode()) for name, r in zip(names, reasons, strict=True) if r],
        )
