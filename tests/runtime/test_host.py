"""What a host says about its processors."""

import os
import shutil
import subprocess

import psutil
import pytest

from keras_backtrack.runtime import host
from keras_backtrack.runtime import tensorflow as runtime
from keras_backtrack.runtime.host import Cpu, cpu_name, flag, read_cpu, usable_cpus


def test_a_virtual_machine_without_topology(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 3 if logical else None)
    monkeypatch.setattr(host, "_count_nodes", lambda: 1)
    cpu = read_cpu()
    assert (cpu.cores, cpu.threads) == (3, 3)
    known = Cpu(frozenset({"avx2"}), cpu.cores, cpu.threads, cpu.numa_nodes, 3)
    assert [a.line for a in runtime.advice(known, {})] == ["export TF_ENABLE_ONEDNN_OPTS=1"]


def test_a_processor_that_nobody_knows(monkeypatch):
    from llvmlite import binding

    def unknown():
        raise RuntimeError("failed to get host cpu features.")

    monkeypatch.setattr(binding, "get_host_cpu_features", unknown)
    monkeypatch.setattr("cpuinfo.get_cpu_info", lambda: {})
    cpu = read_cpu()
    assert cpu.flags == set() and not runtime.gains_from_onednn(cpu)
    assert cpu_name()


def test_cpus_of_a_process():
    """Where a process can be held to some of them, and where it cannot."""
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        assert usable_cpus() == psutil.cpu_count()
        return
    before = process.cpu_affinity()
    try:
        process.cpu_affinity(before[:1])
        assert usable_cpus() == read_cpu().usable == 1
    finally:
        process.cpu_affinity(before)


@pytest.mark.skipif(not shutil.which("lscpu"), reason="needs lscpu")
def test_the_host_is_what_lscpu_says():
    shown = subprocess.run(["lscpu"], env={**os.environ, "LC_ALL": "C"}, capture_output=True)
    pairs = (line.split(":", 1) for line in shown.stdout.decode().splitlines() if ":" in line)
    told = {key.strip(): value.strip() for key, value in pairs}
    cpu = read_cpu()
    assert cpu_name() == told["Model name"]
    counted = ("sse41", "avx", "fma", *runtime._TURNS_ONEDNN_ON)
    counted += tuple(name for names in host._INSTRUCTION_SETS.values() for name in names)
    told_flags = {flag(name) for name in told["Flags"].split()}
    assert cpu.flags & {*counted} == told_flags & {*counted}
    assert cpu.cores == int(told["Core(s) per socket"]) * int(told["Socket(s)"])
    assert cpu.threads == cpu.cores * int(told["Thread(s) per core"])
    assert cpu.numa_nodes == int(told["NUMA node(s)"])
