"""The documentation site: pages hang on the index, links inside lead somewhere, it builds without warnings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {path.stem for path in DOCS.glob("*.md")}


def text(page: str) -> str:
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def test_every_page_hangs_on_the_index() -> None:
    """And the index names no other."""
    trees = re.findall(r"```\{toctree\}\n(.*?)```", text("index"), re.DOTALL)
    named = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    assert sorted(named) == sorted(PAGES - {"index"})


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_inside_lead_somewhere(page: str) -> None:
    """Files beside the page, or anywhere in the project."""
    bare = re.sub(r"^```.*?^```", "", text(page), flags=re.MULTILINE | re.DOTALL)
    links = [*re.findall(r"\]\(([^)#\s]+)", bare), *re.findall(r"`[^`<]*<(examples/[^>]+)>`", bare)]
    assert [link for link in links if "://" not in link and not (DOCS / link).exists()] == []


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    """`-W`: a warning is an error."""
    pytest.importorskip("sphinx")
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "howto.html").is_file()
