"""A host held to another one."""

import json
import subprocess
import sys

import pytest

from benchmarks import profiles


def test_holding_to_another_host():
    """In a process of its own, since it is for good."""
    code = (
        "import os, json; from benchmarks.profiles import hold; held = hold('i7', cores=1);"
        "from keras_backtrack.runtime.host import usable_cpus;"
        "print(json.dumps([held.settings, held.missing, usable_cpus(),"
        "os.environ['ONEDNN_MAX_CPU_ISA'], os.environ['TF_ENABLE_ONEDNN_OPTS']]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    settings, missing, cores, isa, onednn = json.loads(result.stdout)
    assert settings["cores"] == cores and isa == "AVX2" and onednn == "1"
    assert (cores == 1) != any("keeps processes to none" in text for text in missing)
    assert any("clock" in text for text in missing)
    # The walk's kernels as well, unless that would be more than this host has.
    lacking = any(text.startswith("AVX2") for text in missing)
    assert settings.get("NUMBA_CPU_NAME") == (None if lacking else "haswell")
    with pytest.raises(ValueError, match=r"one of .*Received: 'AVX9'"):
        profiles.hold(isa="AVX9")
