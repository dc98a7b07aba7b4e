"""Photos from files, and the part of them that a network sees."""

import numpy as np
import pytest
from folders import bomb, noise
from PIL import Image

from keras_backtrack.pictures.photos import Frame, PhotoError, read_photo


def test_a_frame_maps_places_back():
    frame = Frame.crop((512, 1024), (224, 224))
    assert frame.part == (32.0, 288.0, 480.0, 736.0)
    assert frame.points(np.array([[0, 0], [223, 223]])).tolist() == [[33, 289], [479, 735]]
    assert frame.boxes(np.array([[0, 0, 224, 224]])).tolist() == [[32, 288, 480, 736]]
    seen = frame.map(np.ones((224, 224), np.float32))
    assert seen.shape == (512, 1024) and seen.sum() == 448 * 448
    white = np.full((512, 1024, 3), 255, np.uint8)
    assert frame.cut(white).shape == (224, 224, 3) and frame.cut(white).dtype == np.uint8


def test_pictures_are_turned_and_keep_their_depth(tmp_path, rng):
    image = noise(rng)
    for orientation, turn in ((3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_270)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(tmp_path / "turned.png", exif=exif)
        assert (read_photo(tmp_path / "turned.png") == np.asarray(image.transpose(turn))).all()
    deep = np.arange(0, 65536, 256, np.uint16).reshape(16, 16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert (read_photo(tmp_path / "deep.png")[..., 0] == deep >> 8).all()
    # 32-bit integers of a TIFF, in which there are bytes.
    wide = np.arange(256, dtype=np.int32).reshape(16, 16)
    Image.fromarray(wide).save(tmp_path / "wide.tif")
    assert (read_photo(tmp_path / "wide.tif")[..., 0] == wide).all()
    Image.fromarray(wide * 256).save(tmp_path / "wider.tif")
    assert (read_photo(tmp_path / "wider.tif")[..., 0] == wide).all()
    (tmp_path / "bomb.png").write_bytes(bomb(60_000, 60_000))
    with pytest.raises(PhotoError, match="could be decompression bomb"):
        read_photo(tmp_path / "bomb.png")
