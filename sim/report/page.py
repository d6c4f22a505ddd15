"""One answer as a page of its own: no script, nothing fetched, readable on a phone, in print and in the dark."""

from __future__ import annotations

from html import escape
from typing import Final

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-bottom: 0; }
pre { font: 13px/1.45 ui-monospace, monospace; overflow-x: auto; margin-top: .3rem; }
"""


def page(title: str, text: str) -> str:
    """A report as HTML: its first line is the heading, the first line of every other paragraph a smaller one."""
    first, *rest = text.split("\n\n")
    body = [_section(first, 1), *(_section(part, 2) for part in rest)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _section(part: str, level: int) -> str:
    head, _, below = part.partition("\n")
    return f"<section>\n<h{level}>{escape(head)}</h{level}>\n<pre>{escape(below)}</pre>\n</section>"
