"""Folders of pictures, a network that is quick to run, and `keras-backtrack run` on both."""

import struct
import zlib

import numpy as np
import pyarrow.parquet as pq
from click.testing import CliRunner
from networks import layers
from PIL import Image

from keras_backtrack.cli import main
from keras_backtrack.graph.compat import keras


def small_network(path):
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.MaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(x))
    keras.Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x))).save(path)
    return path


def noise(rng, height=60, width=90):
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def folder_of(path, count, rng, size=(60, 90)):
    path.mkdir()
    for i in range(count):
        noise(rng, *size).save(path / f"{i:03}.png")
    return path


def line(*arguments):
    small = ["--batch-size", 2, "--part-size", 4]
    return ["run", *map(str, small + list(arguments))]


def run(*arguments, code=0):
    result = CliRunner().invoke(main, line(*arguments))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def rows(out, table="explanations"):
    files = sorted((out / table).glob("*.parquet"))
    found = [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]
    return sorted(found, key=lambda row: row["path"])


def bomb(height, width):
    """The head of a picture that would be huge."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 10_000))
    return b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b"")
