"""`keras-backtrack doctor`: what this host is, what TensorFlow does on it, what to set."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import click

from .. import runtime
from ..runtime.host import Cpu, cpu_name, read_cpu

_PRECISION = "ONEDNN_DEFAULT_FPMATH_MODE"

# Runs in a process of its own, in the environment as the user left it. A convolution shows which
# library computes it: oneDNN says so itself, of the last one. Where ITEX is, a second one goes
# without it.
_PROBE = """
import json
import tensorflow as tf
import keras
from keras_backtrack import runtime

def convolve():
    picture, kernel = tf.random.normal((1, 32, 32, 8)), tf.random.normal((3, 3, 8, 8))
    tf.function(lambda x, k: tf.nn.relu(tf.nn.conv2d(x, k, 1, "SAME")))(picture, kernel)

wrong = runtime.has_wrong_convolutions()
convolve()
itex = runtime.itex_backend()
if itex:
    print("without ITEX", flush=True)
    runtime.configure(itex=False)
    convolve()
print("probe" + json.dumps({
    "tensorflow": tf.__version__,
    "keras": keras.__version__,
    "onednn": runtime.onednn_is_on(),
    "itex": itex,
    "wrong": wrong,
}))
"""


class Convolution(NamedTuple):
    """What oneDNN says of the convolution that it computed: empty where it computed none."""

    version: str = ""
    threads: str = ""
    isa: str = ""
    kernel: str = ""


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
    for line in report(read_cpu(), environ, {**found, "cpu": cpu_name()}):
        click.echo(line)


def report(cpu: Cpu, environ: Mapping[str, str], found: Mapping[str, Any]) -> Iterator[str]:
    """The lines that `doctor` prints.

    Args:
        cpu: The host's processor.
        environ: The environment as the user left it.
        found: What TensorFlow did in it, from `_probe`, and what the `cpu` is called.
    """
    yield f"CPU         {found['cpu']}"
    yield (
        f"            {_count(cpu.cores, 'core')}, {_count(cpu.threads, 'thread')}, "
        f"{_count(cpu.numa_nodes, 'NUMA node')}; {cpu.usable} usable here"
    )
    sets = cpu.instruction_sets
    yield "            " + ", ".join(f"{name} {'yes' if sets[name] else 'no'}" for name in sets)
    yield f"TensorFlow  {found['tensorflow']}, Keras {found['keras']}"
    threads = environ.get("TF_NUM_INTRAOP_THREADS", "")
    yield f"threads     {threads if threads.isdigit() and int(threads) else cpu.usable}"
    expected = runtime.onednn_state(cpu, environ)
    state = f"oneDNN      {'on' if found['onednn'] else 'off'}: "
    yield state + (
        expected.why
        if expected.on == found["onednn"]
        else f"though {expected.why}; this build of TensorFlow does otherwise"
    )
    yield "ITEX        " + (
        f"loaded, its {found['itex']} backend: it computes with a oneDNN of its own"
        if found["itex"]
        else "not installed"
        if runtime.itex_plugin() is None
        else "installed, but TensorFlow has not loaded it"
    )
    yield f"convolution {_by(found['convolutions'][0])}"
    for convolution in found["convolutions"][1:]:
        yield f"            without ITEX {_by(convolution)}"
    if found["wrong"]:
        yield (
            f"            wrong numbers from {runtime.WRONG_CONVOLUTIONS}; "
            f"{runtime.without_wrong_convolutions(bool(found['itex']))}"
        )
    if cpu.instruction_sets["AMX"] or cpu.instruction_sets["bf16"]:
        mode = environ.get(_PRECISION, "")
        is_left_alone = mode.upper() in ("", "STRICT")
        yield (
            "bf16        "
            + ("is left alone" if is_left_alone else f"{_PRECISION}={mode} may put it to use")
            + ": it can change which class wins, and so what is explained"
        )
    yield (
        "network     nothing listens, but `run --engine ray`: without --address to this machine "
        "alone (loopback), with it as that cluster was started"
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
    found: dict[str, Any] = {}
    convolutions = [Convolution()]
    for line in done.stdout.splitlines():
        if line == "without ITEX":
            convolutions.append(Convolution())
        elif line.startswith("probe"):
            found = json.loads(line.removeprefix("probe"))
        elif line.startswith("onednn_verbose"):
            convolutions[-1] = _read_verbose(line, convolutions[-1])
    return {**found, "convolutions": convolutions}


def _read_verbose(line: str, known: Convolution) -> Convolution:
    """What is known after one more line of oneDNN's."""
    fields = line.split(",")
    if "exec" in fields and "convolution" in fields:
        return known._replace(kernel=fields[fields.index("convolution") + 1])
    if ",info,oneDNN v" in line:
        return known._replace(version=line.split("oneDNN v")[1].split()[0])
    if ",cpu,isa:" in line:
        return known._replace(isa=line.split(",cpu,isa:")[1])
    if ",info,cpu,runtime:" in line:
        return known._replace(threads=line.rpartition("nthr:")[2])
    return known


def _by(convolution: Convolution) -> str:
    version, threads, isa, kernel = convolution
    if not kernel:
        return "not by oneDNN"
    return f"by oneDNN {version}, {_count(int(threads), 'thread')}, for {isa}: {kernel}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
