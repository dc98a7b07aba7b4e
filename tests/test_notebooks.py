"""The example notebooks: executed, whole, small, and in order."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs").glob("*.ipynb"))


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


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["misclassified", "training"]
