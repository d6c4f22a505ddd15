"""The sources of a run, as text and as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from sim.report.tables import Column, Table
from sim.study.sources import Paper, Source, Sources

_ARXIV: Final = re.compile(r"arXiv (\d{4}\.\d{4,5})")
_SPECIAL: Final = re.compile(r"([&%$#_{}])")


def render(found: Sources) -> str:
    """One line per source, after what it stands behind."""
    lines = [f"{found.name}, computed with foretrain {found.version}, rests on:"]
    return "\n".join([*lines, *(f"  {source.of}: {source.text}" for source in found.sources)])


def bibtex(found: Sources) -> str:
    """An entry per source; files whose source is no paper are `@misc` with their words as a note."""
    entries = [_entry("foretrain", "misc", {"title": "foretrain", "note": f"version {found.version}"})]
    entries += [_paper(source.paper) for source in found.sources if source.paper is not None]
    others = [source for source in found.sources if source.paper is None]
    entries += [_other(f"source{number}", source) for number, source in enumerate(others, start=1)]
    return "\n\n".join(entries)


def _paper(paper: Paper) -> str:
    fields = {"author": paper.authors, "title": f"{{{paper.title}}}", "year": str(paper.year)}
    if match := _ARXIV.fullmatch(paper.place):
        return _entry(paper.key, "misc", fields | {"eprint": match[1], "archivePrefix": "arXiv"})
    kind, place = ("article", "journal") if "(" in paper.place else ("inproceedings", "booktitle")
    return _entry(paper.key, kind, fields | {place: paper.place})


def _other(key: str, source: Source) -> str:
    return _entry(key, "misc", {"title": _escaped(source.of), "note": _escaped(source.text)})


def _escaped(text: str) -> str:
    """Text as BibTeX and TeX take it."""
    return _SPECIAL.sub(r"\\\1", text.replace("\\", "/"))


def _entry(key: str, kind: str, fields: dict[str, str]) -> str:
    return "\n".join([f"@{kind}{{{key},", *_lines(fields), "}"])


def _lines(fields: dict[str, str]) -> Iterator[str]:
    return (f"  {name} = {{{value}}}," for name, value in fields.items())


def as_table(found: Sources) -> Table:
    """What each source stands behind."""
    return Table((Column("of"), Column("source")), tuple((source.of, source.text) for source in found.sources))


def to_json(found: Sources) -> dict[str, Any]:
    """`sources`, each with what it stands `of`, its `text`, and the `paper` where it is one."""
    return {"schema_version": 1, "name": found.name, "sources": [asdict(source) for source in found.sources]}
