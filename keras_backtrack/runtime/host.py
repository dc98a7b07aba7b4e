"""What this host is: its CPU, as Linux describes it."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_NODES_WITH_CPUS = Path("/sys/devices/system/node/has_cpu")

# What oneDNN chooses its kernels by: names for people, and the flags that stand for them.
_INSTRUCTION_SETS = {
    "AVX2": {"avx2"},
    "AVX512": {"avx512f"},
    "VNNI": {"avx512_vnni", "avx_vnni"},
    "bf16": {"avx512_bf16", "amx_bf16"},
    "AMX": {"amx_tile"},
}


@dataclass(frozen=True)
class Cpu:
    """The processors of a host.

    Attributes:
        model: Name of the model.
        flags: What it can do, as in `/proc/cpuinfo`; empty where that is not known.
        sockets: How many processors are plugged in.
        cores: Physical cores, of all sockets.
        threads: Logical CPUs; more than cores where they are hyper-threaded.
        numa_nodes: Parts of the memory that have CPUs of their own.
        usable: Logical CPUs that this process may run on.
    """

    model: str
    flags: frozenset[str]
    sockets: int
    cores: int
    threads: int
    numa_nodes: int
    usable: int

    @property
    def instruction_sets(self) -> dict[str, bool]:
        """Whether it has AVX2, AVX512, VNNI, bf16 and AMX, by these names."""
        return {name: bool(flags & self.flags) for name, flags in _INSTRUCTION_SETS.items()}


def read_cpu(cpu_info: str | None = None, numa_nodes: int | None = None) -> Cpu:
    """Reads what the processors are.

    Args:
        cpu_info: The text of a `/proc/cpuinfo`. Default: this host's.
        numa_nodes: How many NUMA nodes it has. Default: as many as this host.

    Returns:
        A `Cpu`; outside of Linux one without flags.
    """
    here = cpu_info is None
    if cpu_info is None:
        cpu_info = _CPU_INFO.read_text() if _CPU_INFO.exists() else ""
    blocks = [_fields(block) for block in cpu_info.split("\n\n")]
    processors = [block for block in blocks if "processor" in block]
    first = processors[0] if processors else {}
    threads = len(processors) or os.cpu_count() or 1
    # Virtual machines and ARM may leave these lines out.
    sockets = {p["physical id"] for p in processors if "physical id" in p}
    cores = {(p["physical id"], p["core id"]) for p in processors if "physical id" in p}
    return Cpu(
        model=first.get("model name") or platform.processor() or platform.machine(),
        flags=frozenset(first.get("flags", "").split()),
        sockets=len(sockets) or 1,
        cores=len(cores) or threads,
        threads=threads,
        numa_nodes=_count_nodes() if numa_nodes is None else numa_nodes,
        usable=usable_cpus() if here else threads,
    )


def usable_cpus() -> int:
    """Logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _fields(block: str) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in block.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _count_nodes() -> int:
    """From a list such as "0-1,3"."""
    if not _NODES_WITH_CPUS.exists():
        return 1
    count = 0
    for part in _NODES_WITH_CPUS.read_text().strip().split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count
