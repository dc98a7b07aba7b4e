"""The pages for who reads the code: what they name is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
# Rows of tables: a file, and functions or tables of rules in it.
ROWS = re.findall(
    r"^\| `(\S+\.py)` \| (.+?) \|", (DOCS / "how-it-flows.md").read_text(encoding="utf-8"), re.M
)


def names_in(tree: ast.AST, prefix: str = "") -> set[str]:
    """Classes, functions, methods as `Class.method`, and what is assigned with a type."""
    names = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names |= {prefix + node.name} | names_in(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(prefix + node.target.id)
    return names


@pytest.mark.parametrize(("file", "functions"), ROWS)
def test_the_way_through_the_files_is_as_written(file, functions):
    tree = ast.parse((ROOT / "keras_backtrack" / file).read_text(encoding="utf-8"))
    assert set(re.findall(r"`([\w.]+)`", functions)) <= names_in(tree)


def test_there_are_rows():
    assert len(ROWS) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_named_modules_are_there(page):
    """Below the root or the package; those of `propagation/` may go without it."""
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", page.read_text(encoding="utf-8"))
    folders = ROOT, ROOT / "keras_backtrack", ROOT / "keras_backtrack" / "propagation"
    assert not [name for name in named if not any((f / name).exists() for f in folders)]


def test_decisions_are_short():
    decisions = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert len(decisions) == 12
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 25, path.name
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequences"))
