"""What ran the benchmark."""

import importlib.metadata
import os
import platform
from datetime import datetime, timezone

from keras_backtrack import runtime
from keras_backtrack.runtime.host import read_cpu, usable_cpus

_TELLING = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16")
_PACKAGES = ("tensorflow", "keras", "numpy", "intel-extension-for-tensorflow")


def describe() -> dict:
    """The host, the libraries and their settings, for a result file."""
    import tensorflow as tf

    cpu, plugin = read_cpu(), runtime.itex_plugin()
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu.model,
        "instruction_sets": [name for name in _TELLING if name in cpu.flags],
        "sockets": cpu.sockets,
        "cores": usable_cpus(),
        "memory_gib": _memory_gib(),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "onednn": runtime.onednn_is_on(),
        "itex": plugin.stem.removeprefix("libitex_") if runtime.itex_is_on() else None,
        "threads": {
            "intra_op": tf.config.threading.get_intra_op_parallelism_threads() or "all",
            "inter_op": tf.config.threading.get_inter_op_parallelism_threads() or "all",
        },
    }


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
