"""What `make test-elsewhere` takes away is gone, in processes that tests start, too."""

import os
import subprocess
import sys
from pathlib import Path

_FOLDER = Path(__file__).parent / "elsewhere"

_CODE = """
import os, shutil, sys
from pathlib import Path

for module in ("fcntl", "resource"):
    try:
        __import__(module)
        raise SystemExit(f"{module} is there")
    except ModuleNotFoundError:
        pass
assert not hasattr(os, "sched_getaffinity") and not hasattr(os, "fchmod")
assert not Path("/proc/cpuinfo").exists() and not Path("/sys/devices").exists()
try:
    open("/proc/cpuinfo")
    raise SystemExit("/proc is there")
except FileNotFoundError:
    pass
assert shutil.which("lscpu") is None and shutil.which("python3")

import numpy as np
import keras
from keras_backtrack import BacktrackExplainer
from keras_backtrack.runtime.host import read_cpu, usable_cpus

image = keras.Input((16, 16, 3))
x = keras.layers.Conv2D(4, 3, activation="relu")(image)
model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
e = BacktrackExplainer(model).explain(np.ones((2, 16, 16, 3), np.float32))
assert e.attention().shape == (2, 16, 16)
cpu = read_cpu()
assert cpu.usable == cpu.threads == usable_cpus() == os.cpu_count() and cpu.numa_nodes == 1
print("explained")
"""


def test_explains_without_what_linux_alone_has():
    paths = [str(_FOLDER), str(_FOLDER.parents[1]), os.environ.get("PYTHONPATH", "")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-c", _CODE], env=environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and done.stdout.endswith("explained\n"), done.stderr
