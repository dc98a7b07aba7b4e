"""What a host is, what TensorFlow does on it, and what to set."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner

from keras_backtrack import UnsupportedModelError
from keras_backtrack.cli import main
from keras_backtrack.cli.doctor import Convolution, report
from keras_backtrack.explainer.model_checks import check_bfloat16
from keras_backtrack.runtime import tensorflow as runtime
from keras_backtrack.runtime.host import read_cpu

# Sockets, NUMA nodes and, from the first processor's block, cores and hyper-threads of each.
_HOSTS = {
    "gold-6128": (2, 2),
    "i7-8700k": (1, 1),
    "sapphire-rapids": (2, 2),
    "epyc-7763": (1, 1),
    "epyc-zen4": (1, 1),  # A virtual machine of two of its cores.
}
_FOUND = {"tensorflow": "2.21.0", "keras": "3.15.1", "itex": None, "convolutions": [Convolution()]}


def host(name):
    """A host made of the first block of its /proc/cpuinfo."""
    block = (Path(__file__).parents[1] / "cpuinfo" / f"{name}.txt").read_text()
    sockets, nodes = _HOSTS[name]
    fields = dict(line.split("\t", 1) for line in block.splitlines())
    siblings, cores = (int(fields[key].strip("\t: ")) for key in ("siblings", "cpu cores"))
    blocks = [
        block.replace("processor\t: 0", f"processor\t: {i}")
        .replace("physical id\t: 0", f"physical id\t: {i // siblings}")
        .replace("core id\t\t: 0", f"core id\t\t: {i % cores}")
        for i in range(sockets * siblings)
    ]
    return read_cpu("\n".join(blocks), nodes)


_ONEDNN = "export TF_ENABLE_ONEDNN_OPTS=1"
_THREADS = "export TF_NUM_INTRAOP_THREADS={0} TF_NUM_INTEROP_THREADS={0}"
_NODE = (
    "numactl --cpunodebind={0} --membind={0} keras-backtrack run "
    "--shard {1}/2 --images DIR --out out &"
)
_NODES = [_NODE.format(0, 1), _NODE.format(1, 2)]


@pytest.mark.parametrize(
    ("name", "counts", "sets", "why", "lines"),
    [
        (
            *("gold-6128", (2, 12, 24, 2), {"AVX2", "AVX512"}, "none of them"),
            [_ONEDNN, _THREADS.format(6), *_NODES],
        ),
        ("i7-8700k", (1, 6, 12, 1), {"AVX2"}, "none of them", [_ONEDNN, _THREADS.format(6)]),
        (
            *("sapphire-rapids", (2, 112, 224, 2), {"AVX2", "AVX512", "VNNI", "bf16", "AMX"}),
            *("AMX or AVX-VNNI or AVX512-BF16 or AVX512-VNNI", [_THREADS.format(56), *_NODES]),
        ),
        ("epyc-7763", (1, 64, 128, 1), {"AVX2"}, "none of them", [_ONEDNN, _THREADS.format(64)]),
        (
            *("epyc-zen4", (1, 2, 2, 1), {"AVX2", "AVX512", "VNNI", "bf16"}),
            *("on CPUs with AVX512-BF16 or AVX512-VNNI", []),
        ),
    ],
)
def test_advice_for_a_host(name, counts, sets, why, lines):
    cpu, is_on = host(name), _ONEDNN not in lines
    assert (cpu.sockets, cpu.cores, cpu.threads, cpu.numa_nodes) == counts
    assert {key for key, has in cpu.instruction_sets.items() if has} == sets
    state = runtime.onednn_state(cpu, {})
    assert state.on == is_on and state.why.endswith(why)
    assert [advice.line for advice in runtime.advice(cpu, {})] == lines
    done = {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    left = [line for line in lines if line.startswith("numactl")]
    assert [advice.line for advice in runtime.advice(cpu, done)] == left
    first, *rest = (advice.line for advice in runtime.advice(cpu, {}, itex=True))
    assert f"OMP_NUM_THREADS={cpu.cores // cpu.numa_nodes} KMP_BLOCKTIME=1" in first
    assert rest == left

    text = "\n".join(report(cpu, {}, {**_FOUND, "onednn": is_on}))
    assert cpu.model in text and f"oneDNN      {'on' if is_on else 'off'}: {state.why}" in text
    assert all(f"\n  {line}" in text for line in lines) and ("Nothing to set" in text) != any(lines)
    assert ("bf16        is left alone" in text) == ("bf16" in sets)
    used = "\n".join(report(cpu, {"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"}, {**_FOUND, "onednn": 1}))
    assert ("ONEDNN_DEFAULT_FPMATH_MODE=BF16 may put it to use" in used) == ("bf16" in sets)


@pytest.mark.parametrize(
    ("value", "is_on", "why"),
    [
        ("1", True, "=1 says so"),
        ("TRUE", True, "=TRUE says so"),
        ("0", False, "=0 says so"),
        ("yes", False, "counts for nothing; TensorFlow turns it on by itself only"),
    ],
)
def test_the_environment_decides_about_onednn(value, is_on, why):
    state = runtime.onednn_state(host("gold-6128"), {"TF_ENABLE_ONEDNN_OPTS": value})
    assert state.on == is_on and why in state.why


def test_a_virtual_machine_without_topology():
    block = "processor\t: {}\nmodel name\t: KVM\nflags\t\t: sse2 avx2\n"
    cpu = read_cpu("\n".join(map(block.format, range(3))), 1)
    assert (cpu.sockets, cpu.cores, cpu.threads) == (1, 3, 3)
    assert [a.line for a in runtime.advice(cpu, {})] == ["export TF_ENABLE_ONEDNN_OPTS=1"]
    unknown = read_cpu("", 1)
    assert unknown.flags == set() and not runtime.gains_from_onednn(unknown)


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux")
@pytest.mark.parametrize("value", ["1", pytest.param("0", marks=pytest.mark.slow)])
def test_doctor_says_what_onednn_reports(value, monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    result = CliRunner().invoke(main, ["doctor"], catch_exceptions=False)
    assert result.exit_code == 0
    state = {"1": "on", "0": "off"}[value]
    assert f"oneDNN      {state}: TF_ENABLE_ONEDNN_OPTS={value} says so" in result.output
    computed = value == "1" or runtime.itex_plugin()
    assert ("convolution by oneDNN 3." if computed else "not by oneDNN") in result.output
    assert ("without ITEX" in result.output) == bool(runtime.itex_plugin())
    backend = "AVX512" if runtime.read_cpu().instruction_sets["AVX512"] else "AVX2"
    itex = f"loaded, its {backend} backend" if runtime.itex_plugin() else "not installed"
    assert f"ITEX        {itex}" in result.output
    if computed:
        assert f"for Intel {'AVX-512' if backend == 'AVX512' else 'AVX2'}" in result.output


@pytest.mark.skipif(not shutil.which("lscpu"), reason="needs lscpu")
def test_the_host_is_what_lscpu_says():
    shown = subprocess.run(["lscpu"], env={**os.environ, "LC_ALL": "C"}, capture_output=True)
    pairs = (line.split(":", 1) for line in shown.stdout.decode().splitlines() if ":" in line)
    told = {key.strip(): value.strip() for key, value in pairs}
    cpu = read_cpu()
    assert cpu.model == told["Model name"] and cpu.flags == set(told["Flags"].split())
    per_socket, nodes = int(told["Core(s) per socket"]), int(told["NUMA node(s)"])
    assert (cpu.sockets, cpu.numa_nodes) == (int(told["Socket(s)"]), nodes)
    assert cpu.cores == per_socket * cpu.sockets
    assert cpu.threads == cpu.cores * int(told["Thread(s) per core"])


def python(code, **environ):
    """Runs code in a process that has not imported TensorFlow."""
    base = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**base, **environ}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_configure_comes_first_or_says_so():
    code = """
from keras_backtrack import UnsupportedModelError, runtime
runtime.configure(threads=1, onednn=True)
import tensorflow as tf
print(runtime.onednn_is_on(), tf.config.threading.get_intra_op_parallelism_threads())
tf.ones(1) + 1
for setting in ({"threads": 2}, {"onednn": False}):
    try:
        runtime.configure(**setting)
    except RuntimeError as error:
        print(error)
import os
print(os.environ["TF_ENABLE_ONEDNN_OPTS"])
"""
    lines = python(code).splitlines()
    assert lines[0] == "True 1" and lines[-1] == "1"
    assert lines[1].startswith("`threads` must be set before") and "threads=2" in lines[1]
    assert lines[2].startswith("`onednn` must be set before") and "onednn=False" in lines[2]


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
def test_configure_refuses(threads):
    with pytest.raises(ValueError, match="`threads` must be an int of at least 1. Received"):
        runtime.configure(threads=threads)
    if not runtime.itex_plugin():
        with pytest.raises(ValueError, match="is not installed"):
            runtime.configure(itex=True)


@pytest.mark.parametrize(
    ("name", "itex", "is_refused"),
    [
        ("gold-6128", True, False),
        ("sapphire-rapids", True, False),
        ("i7-8700k", True, True),
        ("epyc-7763", True, True),
        ("epyc-zen4", True, False),
        ("i7-8700k", False, False),
    ],
)
def test_bfloat16_under_itex_needs_avx512(name, itex, is_refused, monkeypatch):
    for variable in ("ITEX_AUTO_MIXED_PRECISION", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(runtime, "read_cpu", lambda: host(name))
    monkeypatch.setattr(runtime, "itex_is_on", lambda: itex)
    check_bfloat16(is_used=False)
    if not is_refused:
        check_bfloat16(is_used=True)
        if itex:
            monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
            with pytest.raises(UnsupportedModelError, match="held to ONEDNN_MAX_CPU_ISA=AVX2"):
                check_bfloat16(is_used=True)
        return
    with pytest.raises(UnsupportedModelError, match="computes in bfloat16, on (Intel|AMD)"):
        check_bfloat16(is_used=True)
    monkeypatch.setenv("ITEX_AUTO_MIXED_PRECISION", "1")
    with pytest.raises(UnsupportedModelError, match="Received: auto mixed precision"):
        check_bfloat16(is_used=False)


def test_warns_once_where_onednn_is_off(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setattr(runtime, "read_cpu", lambda: host("gold-6128"))
    monkeypatch.setattr(runtime, "itex_plugin", lambda: None)
    monkeypatch.setattr(runtime, "onednn_is_on", lambda: False)
    runtime.warn_without_onednn.cache_clear()
    with pytest.warns(UserWarning, match="set TF_ENABLE_ONEDNN_OPTS=1 in the environment"):
        runtime.warn_without_onednn()
    with warnings.catch_warnings(record=True) as said:
        runtime.warn_without_onednn()
        runtime.warn_without_onednn.cache_clear()
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
        runtime.warn_without_onednn()
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
        runtime.warn_without_onednn.cache_clear()
        monkeypatch.setattr(runtime, "onednn_is_on", lambda: True)
        runtime.warn_without_onednn()
    assert not said
