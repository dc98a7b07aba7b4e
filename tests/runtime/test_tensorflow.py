"""What a host is, what TensorFlow does on it, and what to set."""

import warnings

import pytest
from hosts import host, name_of
from processes import python

from keras_backtrack.cli.doctor import Convolution, report
from keras_backtrack.runtime import tensorflow as runtime

_FOUND = {
    "cpu": "a CPU",
    "tensorflow": "2.21.0",
    "keras": "3.15.1",
    "itex": None,
    "wrong": False,
    "convolutions": [Convolution()],
}


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
            *("gold-6128", (12, 24, 2), {"AVX2", "AVX512"}, "none of them"),
            [_ONEDNN, _THREADS.format(6), *_NODES],
        ),
        ("i7-8700k", (6, 12, 1), {"AVX2"}, "none of them", [_ONEDNN, _THREADS.format(6)]),
        (
            *("sapphire-rapids", (112, 224, 2), {"AVX2", "AVX512", "VNNI", "bf16", "AMX"}),
            *("AMX or AVX-VNNI or AVX512-BF16 or AVX512-VNNI", [_THREADS.format(56), *_NODES]),
        ),
        ("epyc-7763", (64, 128, 1), {"AVX2"}, "none of them", [_ONEDNN, _THREADS.format(64)]),
        (
            *("epyc-zen4", (2, 2, 1), {"AVX2", "AVX512", "VNNI", "bf16"}),
            *("on CPUs with AVX512-BF16 or AVX512-VNNI", []),
        ),
    ],
)
def test_advice_for_a_host(name, counts, sets, why, lines):
    cpu, is_on = host(name), _ONEDNN not in lines
    assert (cpu.cores, cpu.threads, cpu.numa_nodes) == counts
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

    text = "\n".join(report(cpu, {}, {**_FOUND, "onednn": is_on, "cpu": name_of(name)}))
    assert "wrong numbers" not in text
    assert name_of(name) in text and f"oneDNN      {'on' if is_on else 'off'}: {state.why}" in text
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


def test_doctor_says_what_is_wrong():
    for itex, what in (None, f"set {runtime.ONEDNN}=0"), ("AVX512", "configure(itex=False)"):
        found = {**_FOUND, "onednn": True, "wrong": True, "itex": itex}
        text = "\n".join(report(host("gold-6128"), {}, found))
        assert "wrong numbers from convolutions of one channel" in text and what in text


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
def test_configure_refuses(threads):
    with pytest.raises(ValueError, match="`threads` must be an int of at least 1. Received"):
        runtime.configure(threads=threads)
    if not runtime.itex_plugin():
        with pytest.raises(ValueError, match="is not installed"):
            runtime.configure(itex=True)


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
