"""docs/python.md: every block of Python is executed, in order, and prints the text below it.

`UPDATE_README=1 pytest tests/test_python_docs.py` writes the output of today into the page.
"""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stdout
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
PAIR = re.compile(r"^```python\n(?P<code>.*?)^```\n\n```text\n(?P<shown>.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_shows_what_its_code_prints():
    """Character by character; the blocks share their names, as in a session."""
    page = PAGE.read_text(encoding="utf-8")
    names: dict[str, object] = {}
    shown, printed = [], []
    for block in PAIR.finditer(page):
        with redirect_stdout(io.StringIO()) as out:
            exec(block["code"], names)
        shown.append(block["shown"])
        printed.append("".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines()))
    assert len(shown) == page.count("```python")
    if os.environ.get("UPDATE_README"):
        texts = iter(printed)
        PAGE.write_text(PAIR.sub(lambda m: f"```python\n{m['code']}```\n\n```text\n{next(texts)}```", page))
    else:
        assert printed == shown
