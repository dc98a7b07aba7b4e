"""What a host would die of is refused before."""

import pytest
from hosts import host, name_of

from keras_backtrack import UnsupportedModelError
from keras_backtrack.explainer.model_checks import check_bfloat16
from keras_backtrack.runtime import tensorflow as runtime


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
    monkeypatch.setattr(runtime, "cpu_name", lambda: name_of(name))
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
