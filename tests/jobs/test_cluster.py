"""Folders of pictures on a Ray cluster."""

import ipaddress
import re
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from folders import folder_of, line, rows, run, small_network


def processes_of(process):
    """What a process started, and what those did: command lines by id."""
    found = {}
    for child in psutil.Process(process).children(recursive=True):
        with suppress(psutil.Error):  # It has ended meanwhile.
            found[child.pid] = " ".join(child.cmdline())
    return found


def listened_at(process):
    """The addresses at which a process and those that it started listen."""
    found = set()
    for each in [psutil.Process(process), *psutil.Process(process).children(recursive=True)]:
        with suppress(psutil.Error):
            connections = each.net_connections("inet")
            found |= {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    return {ipaddress.ip_address(address.removeprefix("::ffff:")) for address in found}


@pytest.mark.parametrize(
    ("cpus", "actors", "threads", "expected"),
    [
        ([2], None, None, (1, 2)),
        ([6, 6], None, None, (4, 3)),
        ([7], None, None, (1, 7)),
        ([9], None, None, (3, 3)),
        ([16, 16, 16], None, None, (12, 4)),
        ([2], 2, None, (2, 1)),
        ([8, 4], 3, None, (3, 4)),
        ([12], None, 6, (2, 6)),
        ([12], 1, 6, (1, 6)),
        ([4, 4], 3, 4, None),
        ([2], 3, None, None),
        ([0], 1, None, None),
    ],
)
def test_cpus_are_shared_out(cpus, actors, threads, expected):
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    from keras_backtrack.jobs import cluster
    from keras_backtrack.jobs.results import ResultsError

    if expected is not None:
        assert cluster.share(cpus, actors, threads) == expected
        return
    with pytest.raises(ResultsError, match=f"Received: {actors} actors of"):
        cluster.share(cpus, actors, threads)


@pytest.mark.slow
def test_ray_gives_what_the_local_engine_gives_though_it_is_killed(tmp_path, rng):
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    model = small_network(tmp_path / "model.keras")
    photos = folder_of(tmp_path / "photos", 200, rng, (300, 400))
    (photos / "text.png").write_text("no picture")
    given = ["--images", photos, "--model", model, "--out"]
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from keras_backtrack.cli import main; main()"]
    command += line(*given, out, "--engine", "ray", "--actors", 2)

    def started():
        """A run that has written more, and its actors."""
        before = len(list(out.glob("explanations/part*")))
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while len(list(out.glob("explanations/part*"))) == before:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        return process, [n for n, c in processes_of(process.pid).items() if "MapWorker" in c]

    process, actors = started()
    addresses = listened_at(process.pid)
    assert addresses and all(address.is_loopback for address in addresses)
    process.kill()
    process.communicate()
    assert 0 < len(rows(out)) < 200
    for _ in range(600):  # Nobody is left behind.
        if not any(map(psutil.pid_exists, actors)):
            break
        time.sleep(0.1)
    else:
        pytest.fail("The actors live on.")

    process, actors = started()
    psutil.Process(actors[0]).kill()
    _, said = process.communicate()
    assert process.returncode == 0, said
    # Of the actor that died Ray says a word, which leaves the bar whole.
    assert re.findall(r"(picture/s|s/picture)\][^\r\n ]", said) == []
    run(*given, tmp_path / "whole")
    assert rows(out) == rows(tmp_path / "whole") and len(rows(out)) == 200
    assert len(rows(out, "errors")) == 1


@pytest.mark.slow
def test_errors_of_a_cluster(tmp_path, rng, monkeypatch):
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    model = small_network(tmp_path / "model.keras")
    photos = folder_of(tmp_path / "photos", 2, rng)
    given = ["--images", photos, "--out", tmp_path / "out", "--engine", "ray"]
    assert "There is no network of this name" in run(*given, "--model", "vgg61", code=1)
    assert not (tmp_path / "out").exists()
    given += ["--model", model]
    said = run(*given, "--actors", 1000, "--threads", 2, code=1)
    assert "CPUs. Received: 1000 actors of 2 CPUs each." in said
    said = run(*given, "--address", "127.0.0.1:1", code=1)
    assert "The Ray cluster failed" in said and "'127.0.0.1:1'" in said
    # A cluster that was killed leaves its address behind.
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    assert "nobody answers at 127.0.0.1:1" in run(*given, "--address", "auto", code=1)
