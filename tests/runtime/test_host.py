"""What a host says about its processors."""

import os
import shutil
import subprocess

import pytest

from keras_backtrack.runtime import tensorflow as runtime
from keras_backtrack.runtime.host import read_cpu


def test_a_virtual_machine_without_topology():
    block = "processor\t: {}\nmodel name\t: KVM\nflags\t\t: sse2 avx2\n"
    cpu = read_cpu("\n".join(map(block.format, range(3))), 1)
    assert (cpu.sockets, cpu.cores, cpu.threads) == (1, 3, 3)
    assert [a.line for a in runtime.advice(cpu, {})] == ["export TF_ENABLE_ONEDNN_OPTS=1"]
    unknown = read_cpu("", 1)
    assert unknown.flags == set() and not runtime.gains_from_onednn(unknown)


@pytest.mark.skipif(not shutil.which("lscpu"), reason="needs lscpu")
def test_the_host_is_what_lscpu_says():
    shown = subprocess.run(["lscpu"], env={**os.environ, "LC_ALL": "C"}, capture_output=True)
    pairs = (line.split(":", 1) for line in shown.stdout.decode().splitlines() if ":" in line)
    told = {key.strip(): value.strip() for key, value in pairs}
    cpu = read_cpu()
    assert cpu.model == told["Model name"] and cpu.flags == set(told["Flags"].split())
    per_socket, nodes = int(told["Core(s) per socket"]), int(told["NUMA node(s)"])
    assert (cpu.sockets, cpu.numa_nodes) == (int(told["Socket(s)"]), nodes)
    assert cpu.cores == per_socket * cpu.sockets
    assert cpu.threads == cpu.cores * int(told["Thread(s) per core"])
