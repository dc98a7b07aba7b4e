"""The benchmarks' command line."""

import subprocess
import sys


def test_settings_come_before_tensorflow():
    """Which reads them when it is imported."""
    code = (
        "import sys; import benchmarks.__main__ as m; hold = m.hold\n"
        "def seen(**settings):\n"
        "    print('early' if 'tensorflow' not in sys.modules else 'late')\n"
        "    return hold(**settings)\n"
        "m.hold = seen; m.main(['--no-onednn', 'cost', '--help'], standalone_mode=False)\n"
        "from keras_backtrack import runtime; print(runtime.onednn_is_on())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    lines = result.stdout.splitlines()
    assert lines[0] == "early" and lines[-1] == "False"
