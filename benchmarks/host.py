"""What ran the benchmark."""

import importlib.metadata
import platform
from datetime import datetime, timezone

import psutil

from keras_backtrack import runtime
from keras_backtrack.runtime.host import cpu_name, flag, read_cpu, usable_cpus

_TELLING = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16")
_PACKAGES = ("tensorflow", "keras", "numpy", "intel-extension-for-tensorflow")


def describe() -> dict:
    """The host, the libraries and their settings, for a result file."""
    import tensorflow as tf

    cpu, plugin = read_cpu(), runtime.itex_plugin()
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_name(),
        "instruction_sets": [name for name in _TELLING if flag(name) in cpu.flags],
        "cores": usable_cpus(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "onednn": runtime.onednn_is_on(),
        "itex": plugin.stem.removeprefix("libitex_") if runtime.itex_is_on() else None,
        "threads": {
            "intra_op": tf.config.threading.get_intra_op_parallelism_threads() or "all",
            "inter_op": tf.config.threading.get_inter_op_parallelism_threads() or "all",
        },
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
