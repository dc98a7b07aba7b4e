"""Holding this host to what another one has, before TensorFlow starts."""

import os
from typing import NamedTuple

import psutil

from keras_backtrack import runtime
from keras_backtrack.runtime.host import read_cpu, usable_cpus


class Profile(NamedTuple):
    """A host to be held to: its cores, and its widest instruction set as oneDNN calls it."""

    title: str
    cores: int
    isa: str


# The paper names a Gold 6128 and no model of i7: one of the same year stands in.
PROFILES = {
    "i7": Profile("Core i7-8700K: 6 cores, AVX2", 6, "AVX2"),
    "xeon-gold-6128": Profile("Xeon Gold 6128: 6 cores, AVX512", 6, "AVX512_CORE"),
}

# By oneDNN's names: those of `Cpu.flags`.
_FLAGS = {"SSE41": "sse41", "AVX": "avx", "AVX2": "avx2", "AVX512_CORE": "avx512f"}
# The walk's own kernels are compiled for a CPU that has no more than that.
_CPUS = {
    "SSE41": "nehalem",
    "AVX": "sandybridge",
    "AVX2": "haswell",
    "AVX512_CORE": "skylake-avx512",
}

INSTRUCTION_SETS = list(_FLAGS)


class Held(NamedTuple):
    """How this process was held.

    Attributes:
        settings: What was set.
        missing: What the profile has and this host has not, or what could not be held.
    """

    settings: dict[str, str | int]
    missing: list[str]


def hold(
    profile: str | None = None,
    cores: int | None = None,
    isa: str | None = None,
    onednn: bool = True,
    itex: bool = True,
) -> Held:
    """Holds this process, and those it starts, to fewer cores and narrower instructions.

    To be called before TensorFlow is imported.

    Args:
        profile: A name of `PROFILES`; None to hold to nothing but what follows.
        cores: At most so many cores, one thread on each.
        isa: The widest instruction set of oneDNN's kernels and of the walk's.
        onednn: Whether TensorFlow may use oneDNN of its own.
        itex: Whether Intel Extension for TensorFlow, where it is installed, optimises graphs.

    Raises:
        ValueError: If there is no such instruction set.
    """
    if isa is not None and isa not in _FLAGS:
        raise ValueError(f"`isa` must be one of {list(_FLAGS)}. Received: {isa!r}.")
    settings: dict[str, str | int] = {"TF_ENABLE_ONEDNN_OPTS": str(int(onednn))}
    missing = []
    if profile is not None:
        chosen = PROFILES[profile]
        settings["profile"] = chosen.title
        cores, isa = cores or chosen.cores, isa or chosen.isa
        missing.append(
            "clock, caches and memory are this host's; kernels of Eigen have the instruction set "
            "that TensorFlow was built for"
        )
    if cores is not None:
        settings["cores"] = held = _hold_to(cores)
        if held < cores:
            missing.append(f"{cores} cores: this host has {held}")
        elif held > cores:
            missing.append(f"{cores} cores: this system keeps processes to none")
    if isa is not None:
        if _FLAGS[isa] not in read_cpu().flags:
            missing.append(f"{isa}: this host does not have it")
        settings["ONEDNN_MAX_CPU_ISA"] = isa
        if _FLAGS[isa] in read_cpu().flags:  # Or the kernels would not run here.
            settings |= {"NUMBA_CPU_NAME": _CPUS[isa], "NUMBA_CPU_FEATURES": ""}
    os.environ.update({k: v for k, v in settings.items() if k.isupper() and isinstance(v, str)})
    if not itex and runtime.itex_plugin():
        settings["itex"] = "off"
        missing.append("ITEX is off in this process, not in those that it starts")
        runtime.configure(itex=False)  # Imports TensorFlow: all else is set by now.
    return Held(settings, missing)


def _hold_to(cores: int) -> int:
    """Holds this process to so many CPUs, where the system can; returns those that it may use."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        process.cpu_affinity(sorted(process.cpu_affinity())[:cores])
    return usable_cpus()
