"""The job scripts, on a real Slurm of two nodes, and what they say to Torque."""

import os
import random
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from folders import folder_of, rows, run, small_network
from slurm import cluster, free_port

_PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("slurm")) as environ:
        yield environ


def bash(script, environ, tmp_path, **variables):
    """Starts a script as a user does; gives the numbers of its jobs."""
    given = {**os.environ, **environ, "PYTHON": sys.executable, "LOGS": str(tmp_path / "logs")}
    given |= {name: str(value) for name, value in variables.items()}
    done = subprocess.run(
        ["bash", f"devcloud/{script}"], cwd=_PROJECT, env=given, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return re.findall(r"(\d+) (?:on|explains|compares|merges)", done.stdout)


def states(job, environ):
    """State and exit code of a job, or of each task of an array."""
    shown = subprocess.run(
        ["scontrol", "-o", "show", "job", job],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = []
    for task in shown.splitlines():
        fields = dict(word.split("=", 1) for word in task.split() if "=" in word)
        found.append((fields["JobState"], fields["ExitCode"]))
    return found


def wait_for(job, environ, logs, seconds=600):
    end = time.monotonic() + seconds
    while any(state in ("PENDING", "RUNNING", "COMPLETING") for state, _ in states(job, environ)):
        assert time.monotonic() < end, [path.read_text()[-2000:] for path in logs.glob("*")]
        time.sleep(0.5)
    return states(job, environ)


@pytest.mark.slow
def test_an_array_of_jobs_loses_and_repeats_nothing(slurm, tmp_path, rng):
    model = small_network(tmp_path / "model.keras")
    photos = folder_of(tmp_path / "photos", 40, rng, (300, 400))
    out, logs = tmp_path / "out", tmp_path / "logs"
    small = "--batch-size 1 --part-size 1"
    variables = {"IMAGES": photos, "OUT": out, "TASKS": 2, "OPTIONS": f"--model {model} {small}"}
    array, merge = bash("explain-array.sh", slurm, tmp_path, **variables)
    while not (out / "explanations" / "part-000000.parquet").exists():  # Task 1's.
        time.sleep(0.02)
    time.sleep(random.Random(0).uniform(0, 0.1))
    subprocess.run(
        ["scancel", "--signal=KILL", "--full", f"{array}_1"],
        env={**os.environ, **slurm},
        check=True,
    )
    ended = wait_for(array, slurm, logs)
    assert any(state != "COMPLETED" for state, _ in ended), ended
    # Nothing is merged that is not whole.
    assert wait_for(merge, slurm, logs)[0][0] == "CANCELLED"
    assert 0 < len(rows(out)) < 40

    array, merge = bash("explain-array.sh", slurm, tmp_path, **variables)
    assert {code for _, code in wait_for(array, slurm, logs)} == {"0:0"}
    assert wait_for(merge, slurm, logs) == [("COMPLETED", "0:0")]
    given = ["--images", photos, "--model", model, "--out", tmp_path / "whole"]
    run(*given, *small.split())
    assert rows(out) == rows(tmp_path / "whole") and len(rows(out)) == 40
    assert (out / "explanations.parquet").exists()


@pytest.mark.slow
def test_benchmarks_of_two_nodes_are_compared(slurm, tmp_path):
    bench = "--network EfficientNet-Lite0 --rounds 3 --no-loops --no-memory"
    out, logs = tmp_path / "out", tmp_path / "logs"
    first, second, compared = bash("bench.sh", slurm, tmp_path, OUT=out, BENCH=bench)
    said = [path.read_text() for path in logs.glob("*")]
    assert wait_for(compared, slurm, logs) == [("COMPLETED", "0:0")], said
    for job, node in ((first, "i7"), (second, "gold6128")):
        assert states(job, slurm) == [("COMPLETED", "0:0")]
        assert (out / f"{node}.json").exists()
    assert "EfficientNet-Lite0" in (out / "comparison.txt").read_text()


@pytest.mark.slow
def test_a_failing_job_says_so(slurm, tmp_path):
    bench = "--network none"
    jobs = bash("bench.sh", slurm, tmp_path, OUT=tmp_path / "out", BENCH=bench)
    ended = [wait_for(job, slurm, tmp_path / "logs")[0] for job in jobs]
    assert [state for state, _ in ended] == ["FAILED", "FAILED", "CANCELLED"]
    assert all(code not in ("0:0",) for _, code in ended[:2])


@pytest.fixture
def torque(tmp_path):
    """A `qsub` that writes down how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "qsub"
    script.write_text(
        f'#!/bin/bash\n[ "$1" = --version ] && exit\necho "STEP=$STEP $*" >> {tmp_path}/calls\n'
        'case "$*" in *" -t "*) echo "7[].host";; '
        f'*) echo "$(wc -l < {tmp_path}/calls).host";; esac\n'
    )
    script.chmod(0o755)
    found = [p for p in os.environ["PATH"].split(":") if not (Path(p) / "sbatch").exists()]
    for tool in ("bash", "basename", "mkdir", "grep", "wc"):
        if not any((Path(p) / tool).exists() for p in found):
            (folder / tool).symlink_to(subprocess.getoutput(f"command -v {tool}"))
    return {"PATH": ":".join([str(folder), *found])}


def test_what_torque_is_told(torque, tmp_path):
    bash("bench.sh", torque, tmp_path, PPN=2)
    bash("explain-array.sh", torque, tmp_path, IMAGES="photos", TASKS=8)
    logs = tmp_path / "logs"
    script, two = "devcloud/bench.sh", "1.host:2.host"
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"STEP=first -V -N bench-first -j oe -o {logs} -l nodes=1:i7:ppn=2 {script}",
        f"STEP=second -V -N bench-second -j oe -o {logs} -l nodes=1:gold6128:ppn=2 {script}",
        f"STEP=compare -V -N bench-compare -j oe -o {logs} -W depend=afterok:{two} {script}",
        f"STEP=explain -V -N explain-array-e -j oe -o {logs} -t 1-8 devcloud/explain-array.sh",
        f"STEP=merge -V -N explain-array-m -j oe -o {logs} -W depend=afterokarray:7[].host "
        "devcloud/explain-array.sh",
    ]


def run_step(script, tmp_path, nodes, **variables):
    """Runs a step on a node of so many NUMA nodes; gives what was started, and the exit code."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir(exist_ok=True)
    calls.write_text("")
    written = {
        # A job may be given fewer of them than there are.
        "numactl": 'case "$1" in --hardware) echo "available: 2 nodes (0-1)";; '
        f'-N) [ "$2" -lt {nodes} ];; *) PINNED="$1 $2" "${{@:3}}";; esac',
        "a python": f'echo "${{PINNED:-free}}: $*" >> {calls}\n'
        "token=${RAY_AUTH_TOKEN_PATH:-}\n"
        f'[ -z "$token" ] || stat -c %a "$token" >> {calls}.token\n'
        f'[[ "$*" != *{nodes + 2}/4* ]] || exit 1\n'
        # What waits for a cluster of so many waits until they are started.
        f'until [[ "$1" != - || $(grep -c " start " {calls}) -ge "$3" ]]; do sleep 0.05; done',
    }
    for name, text in written.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    given = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHON": "a python"}
    given |= {**variables, "OUT": str(tmp_path / "out")}
    done = subprocess.run(["bash", f"devcloud/{script}"], cwd=_PROJECT, env=given, timeout=60)
    return sorted(calls.read_text().splitlines()), done.returncode


def test_a_process_for_each_numa_node(tmp_path):
    out = tmp_path / "out"
    task = {"STEP": "explain", "IMAGES": "photos", "TASKS": "2", "SLURM_ARRAY_TASK_ID": "2"}
    run = f"-m keras_backtrack run --images photos --out {out} --shard"
    # Shard 4/4 of the second process fails, which the job must say.
    assert run_step("explain-array.sh", tmp_path, 2, **task) == (
        [f"--cpunodebind=0 --membind=0: {run} 2/4", f"--cpunodebind=1 --membind=1: {run} 4/4"],
        1,
    )
    assert run_step("explain-array.sh", tmp_path, 1, **task) == ([f"free: {run} 2/2"], 0)
    bench = f"-m benchmarks cost --no-loops --out {out}/i7.json"
    assert run_step("bench.sh", tmp_path, 2, STEP="first") == (
        [f"--cpunodebind=0 --membind=0: {bench}"],
        0,
    )


def test_ray_on_each_numa_node_of_each_node_that_torque_lists(tmp_path):
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(f'#!/bin/bash\necho "$*" > {tmp_path}/reached\nexec bash -c "${{@: -1}}"\n')
    ssh.chmod(0o755)
    here = socket.gethostname()
    (tmp_path / "nodes").write_text(f"{here}\nother.site\n" * 2)
    job = {"PBS_NODEFILE": str(tmp_path / "nodes"), "CPUS": "12", "PORT": "7000", "IMAGES": "a"}
    calls, code = run_step("ray-cluster.sh", tmp_path, 2, **job)
    assert code == 0 and "BatchMode=yes other.site cd" in (tmp_path / "reached").read_text()
    ray = "-m ray.scripts.scripts start"
    share = "--block --num-cpus=6 --object-store-memory=500000000"
    bound = [f"--cpunodebind={i} --membind={i}: {ray}" for i in (0, 0, 1, 1)]
    joined = f"--address={here}:7000 {share}"
    assert sorted(call for call in calls if "ray.scripts" in call) == sorted(
        [f"{bound[0]} --head --port=7000 --include-dashboard=false {share}"]
        + [f"{start} {joined}" for start in bound[1:]]
    )
    out = tmp_path / "out"
    for call in (
        f"- {here}:7000 4",  # It waits for all four.
        f"-m keras_backtrack run --images a --out {out} --engine ray --address {here}:7000",
        f"-m keras_backtrack merge {out}",
    ):
        assert f"free: {call}" in calls
    assert {*(tmp_path / "calls.token").read_text().split()} == {"600"}
    assert not list(_PROJECT.glob(".ray-token*"))


@pytest.mark.slow
def test_a_ray_cluster_of_the_nodes_of_a_job(slurm, tmp_path, rng):
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    model = small_network(tmp_path / "model.keras")
    photos, out = folder_of(tmp_path / "photos", 12, rng), tmp_path / "out"
    small = ["--batch-size", "2", "--part-size", "2"]
    given = {**os.environ, **slurm, "PYTHON": sys.executable, "IMAGES": str(photos)}
    given |= {
        "OUT": str(out),
        "PORT": str(free_port()),
        "OPTIONS": f"--model {model} {' '.join(small)}",
    }
    log = tmp_path / "log"
    command = ["sbatch", "--parsable", "--nodes=2", f"--output={log}", "devcloud/ray-cluster.sh"]
    job = subprocess.run(command, cwd=_PROJECT, env=given, capture_output=True, text=True)
    assert job.returncode == 0, job.stderr
    ended = wait_for(job.stdout.strip(), slurm, tmp_path)
    assert ended == [("COMPLETED", "0:0")], log.read_text()
    assert "2 of 2 Ray nodes, 2 CPUs" in log.read_text()
    run("--images", photos, "--model", model, "--out", tmp_path / "whole", *small)
    assert rows(out) == rows(tmp_path / "whole") and len(rows(out)) == 12
