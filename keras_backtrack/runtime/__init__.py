"""What runs on this host, and what to set: oneDNN, Intel Extension for TensorFlow, threads.

Nothing here imports TensorFlow before it has to: oneDNN is chosen when that happens.
"""

from .convolutions import (
    WRONG_CONVOLUTIONS,
    has_wrong_convolutions,
    is_wrong,
    may_be_wrong,
)
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
    without_wrong_convolutions,
)

__all__ = [
    "ONEDNN",
    "WRONG_CONVOLUTIONS",
    "Advice",
    "Cpu",
    "OneDNN",
    "advice",
    "bfloat16_problem",
    "configure",
    "cpu_name",
    "gains_from_onednn",
    "has_wrong_convolutions",
    "is_wrong",
    "itex_backend",
    "itex_is_on",
    "itex_plugin",
    "may_be_wrong",
    "onednn_is_on",
    "onednn_state",
    "read_cpu",
    "set_defaults",
    "warn_without_onednn",
    "without_wrong_convolutions",
]
