"""What this host is: its CPU."""

import platform
import re
from dataclasses import dataclass
from pathlib import Path

import psutil

_NODES_WITH_CPUS = Path("/sys/devices/system/node/has_cpu")

# What oneDNN chooses its kernels by: names for people, and the flags that stand for them.
_INSTRUCTION_SETS = {
    "AVX2": {"avx2"},
    "AVX512": {"avx512f"},
    "VNNI": {"avx512vnni", "avxvnni"},
    "bf16": {"avx512bf16", "amxbf16"},
    "AMX": {"amxtile"},
}


@dataclass(frozen=True)
class Cpu:
    """The processors of a host.

    Attributes:
        flags: What they can do, each as `flag` spells it; empty where that is not known.
        cores: Physical cores, of all processors.
        threads: Logical CPUs; more than cores where they are hyper-threaded.
        numa_nodes: Parts of the memory that have CPUs of their own.
        usable: Logical CPUs that this process may run on.
    """

    flags: frozenset[str]
    cores: int
    threads: int
    numa_nodes: int
    usable: int

    @property
    def instruction_sets(self) -> dict[str, bool]:
        """Whether it has AVX2, AVX512, VNNI, bf16 and AMX, by these names."""
        return {name: bool(flags & self.flags) for name, flags in _INSTRUCTION_SETS.items()}


def read_cpu() -> Cpu:
    """Reads what the processors can do."""
    from llvmlite import binding

    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this kind.
        features = {}
    threads = psutil.cpu_count() or 1
    return Cpu(
        flags=frozenset(flag(name) for name, has in features.items() if has),
        cores=psutil.cpu_count(logical=False) or threads,  # Virtual machines may not say.
        threads=threads,
        numa_nodes=_count_nodes(),
        usable=usable_cpus(),
    )


def cpu_name() -> str:
    """What the model of processor is called. Takes a second or two."""
    from cpuinfo import get_cpu_info

    found = get_cpu_info().get("brand_raw")
    return found or platform.processor() or platform.machine()


def flag(name: str) -> str:
    """Linux's or LLVM's name of what a processor can do, which differ in what joins their parts."""
    return re.sub("[-_.]", "", name)


def usable_cpus() -> int:
    """Logical CPUs that this process may run on."""
    process = psutil.Process()
    # Not every system keeps processes to some CPUs.
    held = process.cpu_affinity() if hasattr(process, "cpu_affinity") else []
    return len(held) or psutil.cpu_count() or 1


def _count_nodes() -> int:
    """From a list such as "0-1,3", which Linux has."""
    if not _NODES_WITH_CPUS.exists():
        return 1
    count = 0
    for part in _NODES_WITH_CPUS.read_text().strip().split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count
