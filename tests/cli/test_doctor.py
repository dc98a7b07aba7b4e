"""`keras-backtrack doctor`."""

import sys

import pytest
from click.testing import CliRunner

from keras_backtrack.cli import main
from keras_backtrack.runtime import tensorflow as runtime


@pytest.mark.skipif(sys.platform != "linux", reason="needs oneDNN as it is on Linux")
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
