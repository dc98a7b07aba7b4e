"""The benchmarks measure what they say. How long anything takes decides no test."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from networks import layers

from benchmarks import (
    beside_peers,
    cases,
    compare,
    contenders,
    cost,
    folders,
    growth,
    profiles,
    support,
)
from benchmarks.__main__ import main
from benchmarks.timing import alternate, summary
from keras_backtrack.graph.compat import keras


def test_contenders_take_turns():
    ran = []
    times = alternate({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, 3, warm_up=1)
    assert "".join(ran) == "ab" + "ab" + "ba" + "ab"
    assert {name: len(t) for name, t in times.items()} == {"a": 3, "b": 3}
    assert summary([3.0, 1.0, 2.0]) == {"median": 2.0, "q1": 1.5, "q3": 2.5}


def test_cost_of_a_network(monkeypatch, tmp_path):
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(5, activation="softmax")(x))
    monkeypatch.setattr(cases, "QUICK", [cases.Case("small", 8, 2)])
    monkeypatch.setattr(cost, "build", lambda case: model)
    path = tmp_path / "results" / "cost.json"
    arguments = ["cost", "--quick", "--loops", "--no-memory", "--rounds", "3", "--out", str(path)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0 and "small" in result.output
    record = json.loads(path.read_text())
    (row,) = record["rows"]
    assert record["host"]["packages"]["keras"] == keras.__version__
    assert row["network"] == "small" and row["batch"] == 2 and len(row["pixels"]) == 2
    forward = min(row["compiled"]["median"], row["predict_on_batch"]["median"])
    assert np.isclose(row["ratio"], row["explain"]["median"] / forward, rtol=0.01)
    assert row["loops_seconds"] >= 0


def test_beside_peers(monkeypatch, tmp_path):
    """All that run are timed, and what breaks says why."""
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(5, activation="softmax")(x))

    def broken(subject):
        raise AttributeError("no such thing\nand more")

    def wants_a_mean(subject):
        raise contenders.DoesNotApply("needs a global average")

    methods = {"ours": contenders.ours(), "peer": broken, "other": wants_a_mean}
    monkeypatch.setattr("benchmarks.commands.options.CONTENDERS", methods)
    monkeypatch.setattr(beside_peers, "build", lambda case: model)
    path = tmp_path / "peers.json"
    arguments = ["peers", "--size", "32", "--rounds", "3", "--out", str(path)]
    monkeypatch.setattr(beside_peers, "images", lambda case: np.ones((1, 8, 8, 3), np.float32))
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0 and "ours" in result.output
    rows = {row["method"]: row for row in json.loads(path.read_text())["rows"]}
    forward, own = rows["forward pass"], rows["ours"]
    expected = own["milliseconds"]["median"] / forward["milliseconds"]["median"]
    assert forward["ratio"] == 1 and np.isclose(own["ratio"], expected, rtol=0.01)
    assert rows["peer"]["error"] == "AttributeError: no such thing"
    assert rows["other"]["error"] == "does not apply: it needs a global average"
    assert CliRunner().invoke(main, ["peers", "--network", "AlexNet"]).exit_code == 2
    result = CliRunner().invoke(main, [*arguments, "--method", "ours"], catch_exceptions=False)
    assert "ours" in result.output and "no such thing" not in result.output


def record(forward, explain):
    times = {"compiled": summary(forward), "explain": summary(explain), "forward": "compiled"}
    case = cases.Case("VGG19", 224, 1)._asdict()
    host = {"cpu": "a CPU", "cores": 2, "date": "2026-01-01T00:00:00"}
    return {"benchmark": "cost", "host": host, "rows": [{**case, **times}]}


def test_comparing_two_hosts(tmp_path):
    slow, fast = record([8.0, 8.0, 8.0], [10.0, 12.0, 14.0]), record([4.0] * 3, [2.0, 3.0, 4.0])
    (row,) = compare.speed_ups(slow, fast)
    assert row["forward"] == [2.0, 2.0, 2.0]
    # 12 ÷ 3, and the quartiles: 11 ÷ 3.5 and 13 ÷ 2.5.
    assert row["explain"] == [round(11 / 3.5, 3), 4.0, 5.2]
    paths = [tmp_path / name for name in ("slow.json", "fast.json", "other.json")]
    for path, content in zip(paths, (slow, fast, {"benchmark": "growth"}), strict=True):
        path.write_text(json.dumps(content))
    result = CliRunner().invoke(main, ["compare", *map(str, paths[:2])], catch_exceptions=False)
    assert "4.00 [3.14, 5.20]" in result.output
    result = CliRunner().invoke(main, ["compare", str(paths[0]), str(paths[2])])
    assert result.exit_code == 2 and "Received" in result.output


def test_rate_of_actors_without_their_start():
    first = [(10.0, 16), (11.0, 16), (12.0, 16), (13.0, 16)]  # 16 a second
    late = [(11.5, 16), (12.0, 16), (12.5, 16), (20.0, 4)]  # 32 a second, then the rest
    assert folders.steady_rate([first]) == 16
    assert folders.steady_rate([first, late]) == 16 + 32
    with pytest.raises(ValueError, match=r"too few pictures.*Received: 64 pictures"):
        folders.steady_rate([first[:3], [(11.9, 16)]])


def test_pictures_a_second_of_run(monkeypatch, tmp_path):
    image = keras.Input((32, 32, 3))
    x = layers.MaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    keras.Model(image, layers.Dense(5)(layers.Flatten()(x))).save(tmp_path / "model.keras")
    out = tmp_path / "run.json"
    arguments = ["run", "--count", "96", "--rounds", "2", "--out", str(out)]
    result = CliRunner().invoke(main, [*arguments, "--model", str(tmp_path / "model.keras")])
    assert result.exit_code == 0, result.output
    row = json.loads(out.read_text())["rows"]["run ÷ explain"]
    rates = row["pictures_a_second"]
    # The ratio is written with three decimals.
    ratio = rates["run"]["median"] / rates["explain"]["median"]
    assert np.isclose(row["ratio"], ratio, rtol=0, atol=0.001)


def test_slope_of_growth():
    points = [growth.Point("batch", n, 10 * n, 5.0, 3.0 * n**2) for n in (1, 2, 4, 8)]
    assert np.isclose(growth.slope(points), 2) and np.isclose(growth.slope(points, "nodes"), 2)


def test_growth_of_a_small_network(monkeypatch, tmp_path):
    monkeypatch.setattr(growth, "_values", lambda varied: [1, 2])
    arguments = ["growth", "depth", "--rounds", "3", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert "slope" in result.output and (tmp_path / "growth.png").stat().st_size > 0
    rows = json.loads((tmp_path / "growth.json").read_text())["rows"]
    assert [row["value"] for row in rows] == [1, 2] and rows[0]["nodes"] < rows[1]["nodes"]
    assert len((tmp_path / "growth.csv").read_text().splitlines()) == 3


def test_growth_with_threads(monkeypatch, tmp_path):
    """Each number of them in a process of its own."""
    monkeypatch.setattr(growth.os, "sched_getaffinity", lambda pid: set(range(6)))
    held = []

    def run(options, rounds):
        held.append(options)
        times = {"compiled": {"median": 8.0}, "explain": {"median": 9.0}}
        return {"rows": [{**times, "forward": "compiled", "pixels": [5]}]}

    monkeypatch.setattr(growth.settings, "run", run)
    points = list(growth.measure("threads", 3))
    assert held == [["--cores", n] for n in ("1", "2", "4", "6")]
    assert [point.backtrack for point in points] == [1.0] * 4
    assert np.isnan(growth.slope(points, "nodes"))


def test_settings_come_before_tensorflow():
    """Which reads them when it is imported."""
    code = (
        "import sys; import benchmarks.__main__ as m; hold = m.hold\n"
        "def seen(**settings):\n"
        "    print('early' if 'tensorflow' not in sys.modules else 'late')\n"
        "    return hold(**settings)\n"
        "m.hold = seen; m.main(['--no-onednn', 'cost', '--help'], standalone_mode=False)\n"
        "from keras_backtrack import runtime; print(runtime.onednn_is_on())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    lines = result.stdout.splitlines()
    assert lines[0] == "early" and lines[-1] == "False"


def test_holding_to_another_host():
    """In a process of its own, since it is for good."""
    code = (
        "import os, json; from benchmarks.profiles import hold; held = hold('i7', cores=1);"
        "print(json.dumps([held.settings, held.missing, len(os.sched_getaffinity(0)),"
        "os.environ['ONEDNN_MAX_CPU_ISA'], os.environ['TF_ENABLE_ONEDNN_OPTS']]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    settings, missing, cores, isa, onednn = json.loads(result.stdout)
    assert settings["cores"] == cores == 1 and isa == "AVX2" and onednn == "1"
    assert any("clock" in text for text in missing)
    # The walk's kernels as well, unless that would be more than this host has.
    lacking = any(text.startswith("AVX2") for text in missing)
    assert settings.get("NUMBA_CPU_NAME") == (None if lacking else "haswell")
    with pytest.raises(ValueError, match=r"one of .*Received: 'AVX9'"):
        profiles.hold(isa="AVX9")


def test_support_table(monkeypatch, tmp_path):
    def build(name, size):
        image = keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3, activation="relu")(image)
        x = layers.Lambda(lambda x: tf.sort(x))(x) if name == "Odd" else x
        return keras.Model(image, layers.Dense(5)(layers.Flatten()(x))), 8

    monkeypatch.setattr(support, "build", build)
    arguments = ["support", "Plain", "Odd", "--rounds", "3", "--out", str(tmp_path)]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    (path,) = tmp_path.glob("support-keras-*.json")
    odd, plain = json.loads(path.read_text())["rows"]
    assert plain["works"] and plain["nodes"] > 0 and plain["ratio"] > 0
    assert not odd["works"] and "UnsupportedLayerError" in odd["error"]
    page = (tmp_path / "SUPPORT.md").read_text()
    assert f"Keras {keras.__version__}" in page and "| Plain | 8 | yes |" in page
    # Others' results stay.
    arguments = ["support", "Odd", "--out", str(tmp_path)]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    assert [row["network"] for row in json.loads(path.read_text())["rows"]] == ["Odd", "Plain"]
