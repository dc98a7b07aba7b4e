"""What runs on this host, and what to set: oneDNN, Intel Extension for TensorFlow, threads.

Nothing here imports TensorFlow before it has to: oneDNN is chosen when that happens.
"""

from .host import Cpu, cpu_name, read_cpu
from .tensorflow import (
    ONEDNN,
    Advice,
    OneDNN,
    advice,
    bfloat16_problem,
    configure,
    gains_from_onednn,
    itex_backend,
    itex_is_on,
    itex_plugin,
    onednn_is_on,
    onednn_state,
    set_defaults,
    warn_without_onednn,
)

__all__ = [
    "ONEDNN",
    "Advice",
    "Cpu",
    "OneDNN",
    "advice",
    "bfloat16_problem",
    "configure",
    "cpu_name",
    "gains_from_onednn",
    "itex_backend",
    "itex_is_on",
    "itex_plugin",
    "onednn_is_on",
    "onednn_state",
    "read_cpu",
    "set_defaults",
    "warn_without_onednn",
]
