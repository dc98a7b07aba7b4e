"""A Python without what not every system has: put this folder on PYTHONPATH.

Every process that Python starts imports it, so those that tests start lack the same.
"""

import builtins
import errno
import io
import os
import shutil
import sys

import psutil

_GONE = ("sched_getaffinity", "sched_setaffinity", "fchmod", "mkfifo")
_HIDDEN = ("/proc/", "/sys/")
# They know several systems themselves, and which one this is.
_LIBRARIES = tuple(
    os.sep + name + os.sep for name in ("psutil", "cpuinfo", "multiprocessing", "ray")
)

for name in _GONE:
    delattr(os, name)
for name in ("cpu_affinity", "memory_maps"):
    delattr(psutil.Process, name)
for name in ("fcntl", "resource"):
    sys.modules[name] = None  # Importing it raises ModuleNotFoundError.


def _is_hidden(path):
    if not isinstance(path, str | os.PathLike) or not str(path).startswith(_HIDDEN):
        return False
    frame = sys._getframe(2)
    while frame is not None:
        if any(library in frame.f_code.co_filename for library in _LIBRARIES):
            return False
        frame = frame.f_back
    return True


def _hiding(function):
    def hiding(path, *arguments, **options):
        if _is_hidden(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return function(path, *arguments, **options)

    return hiding


os.stat = _hiding(os.stat)
io.open = builtins.open = _hiding(open)
_which = shutil.which
shutil.which = lambda name, *rest, **options: (
    None if name == "lscpu" else _which(name, *rest, **options)
)
