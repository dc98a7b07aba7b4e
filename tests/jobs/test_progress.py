"""How far a job is, and how fast."""

import re
import subprocess
import sys

import pytest

pytest.importorskip("pyarrow", reason="needs the extra 'run'")

from keras_backtrack.jobs import progress as said

_CODE = """
import os, subprocess, sys, warnings
from keras_backtrack.jobs.progress import Progress

for apart in (True, False):
    with Progress(4, 4, apart) as progress:
        for n in range(4):
            os.write(2, b"a line of others %d\\n" % n)
            progress.done(1)
        subprocess.run([sys.executable, "-c", "import sys; print('a child', file=sys.stderr)"])
        print("the last word", file=sys.stderr, end="")
    print("behind", file=sys.stderr)
"""


def test_lines_of_others_do_not_break_the_bar():
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, check=True)
    text = done.stderr.decode()
    apart, together, rest = text.split("behind\n")
    # In a line of its own, or over what was in one, and ended.
    own = r"(^|[\r\n])%s\r?\n"
    for line in (*(f"a line of others {n}" for n in range(4)), "a child", "the last word"):
        assert len(re.findall(own % line, apart)) == 1, apart
        assert together.count(line) == 1
    assert "100%" in apart and not rest
    assert not re.search(own % "a line of others 0", together)


def test_the_rate_is_that_of_all_pictures_in_all_the_time(monkeypatch):
    """However late they come: of actors that start together, all at once."""
    now = [100.0]
    monkeypatch.setattr(said.time, "perf_counter", lambda: now[0])
    progress = said.Progress(150, 100, False)
    with progress:
        now[0] = 114.99
        progress.done(64)
        now[0] = 115.0
        progress.done(36)
        assert progress.rate is None
        now[0] = 120.0
    assert progress.rate == 5
