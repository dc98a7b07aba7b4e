"""`keras-backtrack doctor`: what this host is, what TensorFlow does on it, what to set."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from .. import runtime
from ..host import Cpu, read_cpu

# Runs in a process of its own, in the environment as the user left it. A convolution shows which
# library computes it: oneDNN says so itself.
_PROBE = """
import json
import tensorflow as tf
import keras
from keras_backtrack import runtime

picture, kernel = tf.random.normal((1, 32, 32, 8)), tf.random.normal((3, 3, 8, 8))
tf.function(lambda x, k: tf.nn.relu(tf.nn.conv2d(x, k, 1, "SAME")))(picture, kernel)
print("probe" + json.dumps({
    "tensorflow": tf.__version__,
    "keras": keras.__version__,
    "onednn": runtime.onednn_is_on(),
    "threads": tf.config.threading.get_intra_op_parallelism_threads(),
}))
"""


@click.command()
@click.pass_obj
def doctor(environ: dict[str, str]) -> None:
    """Say what this host is, what TensorFlow does on it, and what to set.

    oneDNN's state is not guessed: a process runs one convolution in your environment and oneDNN
    reports it.
    """
    try:
        found = _probe(environ)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["nothing"])[-1]
        raise click.ClickException(f"TensorFlow does not run here. Received: {last}") from None
    for line in report(read_cpu(), environ, found):
        click.echo(line)


def report(cpu: Cpu, environ: Mapping[str, str], found: Mapping[str, Any]) -> Iterator[str]:
    """The lines that `doctor` prints.

    Args:
        cpu: The host's processor.
        environ: The environment as the user left it.
        found: What TensorFlow did in it, from `_probe`.
    """
    yield f"CPU         {cpu.model}"
    yield (
        f"            {_count(cpu.sockets, 'socket')}, {_count(cpu.cores, 'core')}, "
        f"{_count(cpu.threads, 'thread')}, {_count(cpu.numa_nodes, 'NUMA node')}; "
        f"{cpu.usable} usable here"
    )
    sets = cpu.instruction_sets
    yield "            " + ", ".join(f"{name} {'yes' if sets[name] else 'no'}" for name in sets)
    yield f"TensorFlow  {found['tensorflow']}, Keras {found['keras']}"
    yield f"threads     {found['threads'] or cpu.usable}"
    expected = runtime.onednn_state(cpu, environ)
    state = f"oneDNN      {'on' if found['onednn'] else 'off'}: "
    yield state + (
        expected.why
        if expected.on == found["onednn"]
        else f"though {expected.why}; this build of TensorFlow does otherwise"
    )
    if found["itex"]:
        yield f"ITEX        on, for {found['itex'].upper()}: it computes with a oneDNN of its own"
    else:
        yield "ITEX        not installed"
    yield "convolution " + (
        f"by oneDNN {found['version']}, for {found['isa']}, {found['kernel']}"
        if found["kernel"]
        else "not by oneDNN"
    )
    if cpu.instruction_sets["AMX"] or cpu.instruction_sets["bf16"]:
        yield (
            "bf16        is left alone: it can change which class wins, and so what is explained"
        )
    yield from _advice(cpu, environ, bool(found["itex"]))


def _advice(cpu: Cpu, environ: Mapping[str, str], itex: bool) -> Iterator[str]:
    lines = runtime.advice(cpu, environ, itex)
    yield ""
    yield (
        "To set (the commands of keras-backtrack turn oneDNN on themselves):"
        if lines
        else ("Nothing to set.")
    )
    why = None
    for advice in lines:
        if advice.why != why:
            yield f"  # {advice.why}"
        yield f"  {advice.line}"
        why = advice.why


def _probe(environ: Mapping[str, str]) -> dict[str, Any]:
    """Runs a convolution and reads what oneDNN says about it."""
    done = subprocess.run(
        [sys.executable, "-c", _PROBE],
        env={**environ, "ONEDNN_VERBOSE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = {"version": None, "isa": None, "kernel": None}
    for line in done.stdout.splitlines():
        if line.startswith("probe"):
            found |= json.loads(line.removeprefix("probe"))
        elif line.startswith("onednn_verbose"):
            _read_verbose(line, found)
    plugin = runtime.itex_plugin()
    return {**found, "itex": plugin and plugin.stem.removeprefix("libitex_")}


def _read_verbose(line: str, found: dict[str, Any]) -> None:
    fields = line.split(",")
    if "exec" in fields and "convolution" in fields:
        found["kernel"] = fields[fields.index("convolution") + 1]
    elif ",info,oneDNN v" in line:
        found["version"] = line.split("oneDNN v")[1].split()[0]
    elif ",cpu,isa:" in line:
        found["isa"] = line.split(",cpu,isa:")[1]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
