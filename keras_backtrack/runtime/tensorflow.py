"""oneDNN, Intel Extension for TensorFlow (ITEX) and threads: what will run, and what to set.

Nothing here imports TensorFlow before it has to: oneDNN is chosen when that happens.
"""

import os
import platform
import re
import sys
import sysconfig
import warnings
from collections.abc import Mapping, MutableMapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import psutil

from .host import Cpu, cpu_name, read_cpu

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
_ITEX_BFLOAT16 = "ITEX_AUTO_MIXED_PRECISION"
_ITEX_KERNELS = re.compile(r"/libitex_cpu_internal_(\w+)\.so")  # It has one for each kind of CPU.

_ISA = "ONEDNN_MAX_CPU_ISA"
_BELOW_AVX512 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2")  # Its values.

# `IsMklEnabled` in tensorflow/core/util/port.cc: on Linux x86, oneDNN is on by default with these.
_TURNS_ONEDNN_ON = {
    "avx512vnni": "AVX512-VNNI",
    "avx512bf16": "AVX512-BF16",
    "avxvnni": "AVX-VNNI",
    "amxtile": "AMX",
    "amxint8": "AMX",
    "amxbf16": "AMX",
}


class OneDNN(NamedTuple):
    """Whether TensorFlow will use oneDNN of its own, and what decides that."""

    on: bool
    why: str


def onednn_state(cpu: Cpu, environ: Mapping[str, str]) -> OneDNN:
    """What TensorFlow will do on a Linux host when it is imported.

    Args:
        cpu: The host's processor.
        environ: The environment it is imported in.
    """
    found = sorted({name for flag, name in _TURNS_ONEDNN_ON.items() if flag in cpu.flags})
    default = OneDNN(
        bool(found),
        f"TensorFlow turns it on by itself on CPUs with {' or '.join(found)}"
        if found
        else "TensorFlow turns it on by itself only on CPUs with AVX512-VNNI, AVX512-BF16, "
        "AVX-VNNI or AMX, and this one has none of them",
    )
    value = environ.get(ONEDNN)
    if value is None:
        return default
    if value.lower() in ("1", "true", "0", "false"):
        return OneDNN(value.lower() in ("1", "true"), f"{ONEDNN}={value} says so")
    return OneDNN(
        default.on, f"{ONEDNN}={value} is neither 0 nor 1 and counts for nothing; {default.why}"
    )


def gains_from_onednn(cpu: Cpu) -> bool:
    """Whether oneDNN has kernels for this CPU that beat TensorFlow's own."""
    return "avx2" in cpu.flags


def set_defaults(environ: MutableMapping[str, str]) -> None:
    """Turns oneDNN on and TensorFlow's chatter off, where the environment does not say otherwise.

    Only for programs, before TensorFlow is imported.
    """
    environ.setdefault(ONEDNN, "1")
    environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def itex_plugin() -> Path | None:
    """The file of Intel Extension for TensorFlow that TensorFlow loads when it is imported."""
    folder = Path(sysconfig.get_path("platlib")) / "tensorflow-plugins"
    return next(iter(sorted(folder.glob("libitex_*.so"))), None)


def itex_backend() -> str | None:
    """ITEX's kernels that are loaded in this process, "AVX2" or "AVX512"; None without ITEX."""
    if itex_plugin() is None:
        return None
    mapped = "\n".join(file.path for file in psutil.Process().memory_maps())
    loaded = _ITEX_KERNELS.search(mapped)
    return loaded and loaded[1].upper()


def onednn_is_on() -> bool:
    """Whether TensorFlow's own oneDNN is on in this process. Imports TensorFlow."""
    from tensorflow.python.util import _pywrap_util_port

    return bool(_pywrap_util_port.IsMklEnabled())


@cache
def warn_without_onednn() -> None:
    """Warns, once in a process, where oneDNN is off on a CPU that would gain and nobody said so."""
    if ONEDNN in os.environ or platform.system() != "Linux" or itex_plugin():
        return
    cpu = read_cpu()
    if gains_from_onednn(cpu) and not onednn_is_on():
        warnings.warn(
            "oneDNN is off, and explanations are slower than they could be: "
            f"{onednn_state(cpu, {}).why}. To turn it on, set {ONEDNN}=1 in the environment before "
            "TensorFlow is imported, or call `keras_backtrack.runtime.configure(onednn=True)` "
            f"first. To leave it off without this warning, set {ONEDNN}=0.",
            stacklevel=3,
        )


def without_wrong_convolutions(itex: bool) -> str:
    """What to do about convolutions that oneDNN computes wrongly: TensorFlow's own, or ITEX's."""
    if itex:
        return "to go without, call `keras_backtrack.runtime.configure(itex=False)` first"
    return (
        f"to go without, set {ONEDNN}=0 in the environment before TensorFlow is imported, or call "
        "`keras_backtrack.runtime.configure(onednn=False)` first"
    )


def bfloat16_problem(is_used: bool) -> str | None:
    """What would end the process: bfloat16 under ITEX where oneDNN may not use AVX512.

    Args:
        is_used: Whether the model computes in bfloat16. If not, ITEX itself may have been told to.

    Returns:
        What would compute in bfloat16, and where; None where nothing would.
    """
    if not itex_is_on() or not (is_used or _itex_makes_bfloat16()):
        return None
    cpu = read_cpu()
    limit = os.environ.get(_ISA, "").upper()
    if limit not in _BELOW_AVX512 and cpu.instruction_sets["AVX512"]:
        return None
    what = "a model that computes in bfloat16" if is_used else "auto mixed precision"
    return f"{what}, on {cpu_name()}" + f" held to {_ISA}={limit}" * (limit in _BELOW_AVX512)


def itex_is_on() -> bool:
    """Whether ITEX optimises this process's graphs. Imports TensorFlow where ITEX is installed."""
    if not itex_plugin():
        return False
    import tensorflow as tf

    options = tf.config.optimizer.get_experimental_options()
    return options.get("use_plugin_optimizers", True)


def _itex_makes_bfloat16() -> bool:
    """Whether ITEX was told, one way or the other, to turn float32 into bfloat16."""
    if os.environ.get(_ITEX_BFLOAT16, "").lower() in ("1", "true"):
        return True
    itex = sys.modules.get("intel_extension_for_tensorflow")
    return itex is not None and itex.get_config().graph_options.auto_mixed_precision == itex.ON


def configure(
    threads: int | None = None, onednn: bool | None = None, itex: bool | None = None
) -> None:
    """Sets how TensorFlow runs in this process. Call it before anything else uses TensorFlow.

    Args:
        threads: CPUs to compute on, for TensorFlow and for ITEX.
        onednn: Whether TensorFlow's own oneDNN is on.
        itex: Whether Intel Extension for TensorFlow, where it is installed, optimises graphs.

    Each is left as it is where it is None.

    Raises:
        RuntimeError: If it comes too late: TensorFlow has decided already.
        ValueError: If `threads` is no int of at least 1, or `itex` is asked for and not there.
    """
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ValueError(f"`threads` must be an int of at least 1. Received: {threads!r}.")
    if itex and not itex_plugin():
        raise ValueError(
            "Intel Extension for TensorFlow is not installed: pip install 'keras-backtrack[itex]' "
            "in an environment of its own. Received: itex=True."
        )
    if onednn is not None:
        _set_onednn(onednn)
    if threads is not None:
        _set_threads(threads)
    if itex is not None:
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"use_plugin_optimizers": bool(itex)})


def _set_onednn(on: bool) -> None:
    before = os.environ.get(ONEDNN)
    os.environ[ONEDNN] = str(int(on))
    # Imported already, TensorFlow has decided, from 2.16 on or so; before that at first use.
    if "tensorflow" in sys.modules and onednn_is_on() != on:
        if before is None:
            del os.environ[ONEDNN]
        else:
            os.environ[ONEDNN] = before
        raise RuntimeError(
            "`onednn` must be set before TensorFlow is imported, and it is imported already, with "
            f"oneDNN {'off' if on else 'on'}. Call `configure` first, or set {ONEDNN}={int(on)} in "
            f"the environment. Received: onednn={on}."
        )


def _set_threads(threads: int) -> None:
    too_late = RuntimeError(
        "`threads` must be set before TensorFlow runs anything, and with Intel Extension for "
        "TensorFlow before it is imported: call `configure` first. "
        f"Received: threads={threads}."
    )
    if itex_plugin():  # It has a pool of its own, made when it is loaded.
        if "tensorflow" in sys.modules and os.environ.get("OMP_NUM_THREADS") != str(threads):
            raise too_late
        os.environ["OMP_NUM_THREADS"] = str(threads)
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        raise too_late from None


class Advice(NamedTuple):
    """A line for a shell, and why."""

    line: str
    why: str


def advice(cpu: Cpu, environ: Mapping[str, str], itex: bool = False) -> list[Advice]:
    """What to set on a host, so that explanations run as fast as they can.

    Args:
        cpu: The host's processor.
        environ: The environment as it is.
        itex: Whether Intel Extension for TensorFlow is installed.
    """
    lines = []
    if not itex and gains_from_onednn(cpu) and not onednn_state(cpu, environ).on:
        lines.append(Advice(f"export {ONEDNN}=1", "oneDNN has faster convolutions for this CPU"))
    per_node = max(min(cpu.cores, cpu.usable) // cpu.numa_nodes, 1)
    if itex and "OMP_NUM_THREADS" not in environ:
        lines.append(
            Advice(
                f"export OMP_NUM_THREADS={per_node} KMP_BLOCKTIME=1 "
                "KMP_AFFINITY=granularity=fine,compact,1,0 TF_NUM_INTEROP_THREADS=1",
                "ITEX has a pool of threads of its own: one for each physical core",
            )
        )
    is_set = "TF_NUM_INTRAOP_THREADS" in environ
    if not itex and not is_set and (cpu.cores < cpu.threads or cpu.numa_nodes > 1):
        lines.append(
            Advice(
                f"export TF_NUM_INTRAOP_THREADS={per_node} TF_NUM_INTEROP_THREADS={per_node}",
                "a thread for each physical core" + " of a node" * (cpu.numa_nodes > 1),
            )
        )
    for node in range(cpu.numa_nodes if cpu.numa_nodes > 1 else 0):
        lines.append(
            Advice(
                f"numactl --cpunodebind={node} --membind={node} keras-backtrack run "
                f"--shard {node + 1}/{cpu.numa_nodes} --images DIR --out out &",
                "one process for each NUMA node, each with a share of the pictures",
            )
        )
    return lines
