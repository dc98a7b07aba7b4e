"""`python tests/fuzz`: all targets one after the other, for some minutes, led by coverage.

What is found is kept in the folder, and a target run again on it: `python tests/fuzz --only picture
--case FILE`.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_PATHS = [str(_HERE.parents[1]), str(_HERE.parent), str(_HERE)]
# What counts for coverage: what reads, of ours and of Pillow's.
_WATCHED = ["PIL", "keras_backtrack.pictures", "keras_backtrack.jobs", "keras_backtrack.models"]
_SECONDS, _MEGABYTES = 20, 3000  # A file that takes more is a fault.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=7, help="for all targets together")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--only", help="one target")
    parser.add_argument("--case", type=Path, help="run this file alone")
    arguments = parser.parse_args()
    sys.path[:0] = _PATHS
    if arguments.only and arguments.case:
        from targets import TARGETS

        TARGETS[arguments.only].run(arguments.case.read_bytes())
        return
    sys.exit(_all(arguments.only, arguments.minutes * 60, arguments.out))


def _all(only: str | None, seconds: float, out: Path) -> int:
    """Each target in a process of its own, which may die."""
    from targets import TARGETS

    chosen = {name: t for name, t in TARGETS.items() if only in (None, name)}
    total, failed = sum(target.share for target in chosen.values()), []
    for name, target in chosen.items():
        corpus = out / name
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
        log = out / f"{name}.log"
        with open(log, "wb") as said:
            code = subprocess.call(
                [
                    *(sys.executable, "-c", _CHILD, name, str(corpus)),
                    f"-max_total_time={seconds * target.share / total:.0f}",
                    f"-timeout={_SECONDS}",
                    f"-rss_limit_mb={_MEGABYTES}",
                    f"-artifact_prefix={out}/{name}-",
                    *("-max_len=8192", "-print_final_stats=1", "-verbosity=0"),
                ],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(_PATHS),
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                },
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        units = re.findall(r"number_of_executed_units: (\d+)", log.read_text(errors="replace"))
        what = f"FAILED, see {log}" if code else "nothing found"
        print(f"{name}: {' '.join(units) or 'no'} runs, {what}", flush=True)
        failed += [name] * bool(code)
    return len(failed)


_CHILD = f"""
import sys
import atheris
from PIL import Image
Image.MAX_IMAGE_PIXELS = 1_000_000  # Or decoding takes longest, which is no fault.
with atheris.instrument_imports(include={_WATCHED}, enable_loader_override=False):
    from targets import TARGETS
name, *arguments = sys.argv[1:]
atheris.Setup([name, *arguments], TARGETS[name].run)
atheris.Fuzz()
"""

if __name__ == "__main__":
    main()
