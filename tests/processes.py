"""Code in a process of its own: what TensorFlow decides when it is imported."""

import os
import subprocess
import sys


def python(code, **environ):
    """Runs code in a process that has not imported TensorFlow."""
    base = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**base, **environ}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
