"""Files of explanations that `keras-backtrack report` is given, damaged."""

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from keras_backtrack.jobs import gallery
from keras_backtrack.jobs.tables import EXPLANATIONS


@pytest.mark.parametrize("settings", ["[]", "{}", "null", '{"method": []}', "cut"])
def test_a_later_row_that_cannot_be_read(settings, tmp_path):
    Image.new("RGB", (9, 6)).save(tmp_path / "photo.png")
    row = {
        **{"path": "photo.png", "height": 6, "width": 9, "target": 1, "target_name": "cat"},
        **{"score": 0.5, "lost": 0.0, "pixels": [(1, 2)], "mass": [1.0], "label": "cat"},
        **{"seen": (0.0, 0.0, 6.0, 9.0), "settings": '{"method": "backtrack"}'},
    }
    path = tmp_path / "explanations.parquet"
    pq.write_table(pa.Table.from_pylist([row, {**row, "settings": settings}], EXPLANATIONS), path)
    assert gallery.count_rows(path) == 2
    entries = gallery.entries_in(path, 2)
    assert next(entries).listed["name"] == "photo.png"
    with pytest.raises(ValueError, match=r"A row of the file cannot be read .*Received: "):
        next(entries)


def test_rows_that_are_not_there(tmp_path, monkeypatch):
    """The end of the file counts three."""
    file = SimpleNamespace(
        schema_arrow=EXPLANATIONS,
        metadata=SimpleNamespace(num_rows=3),
        iter_batches=lambda *_, **__: iter([]),
    )
    monkeypatch.setattr(gallery, "_open", lambda path: file)
    with pytest.raises(ValueError, match=r"its first row cannot be read \(StopIteration"):
        gallery.count_rows(tmp_path / "file")


def test_a_row_that_holds_no_numbers(tmp_path):
    """It is named, and the others are shown."""
    Image.new("RGB", (9, 6)).save(tmp_path / "photo.png")
    row = {
        **{"path": "photo.png", "height": 6, "width": 9, "target": 1, "target_name": "cat"},
        **{"score": 0.5, "lost": 0.0, "pixels": [(1, 2)], "mass": [1.0], "label": "cat"},
        **{"seen": (0.0, 0.0, 6.0, 9.0), "settings": '{"method": "backtrack"}'},
    }
    wrong = {"score": float("nan")}, {"lost": float("inf")}, {"mass": [float("nan")]}
    rows = [*({**row, **own} for own in wrong), row]
    path = tmp_path / "explanations.parquet"
    pq.write_table(pa.Table.from_pylist(rows, EXPLANATIONS), path)
    assert gallery.count_rows(path) == 4
    *failed, shown = gallery.entries_in(path, 4)
    assert shown.listed["name"] == "photo.png"
    assert ["finite numbers" in str(each) for each in failed] == [True] * 3
