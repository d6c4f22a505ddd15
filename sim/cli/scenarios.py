"""`foretrain scenarios`: list the scenarios that come with foretrain."""

from __future__ import annotations

from sim.cli import options
from sim.cli.terminal import show_as
from sim.files.checking import kind_of
from sim.files.library import find, names, shown
from sim.files.loader import load
from sim.report.tables import Column, Table

Row = tuple[str, str, str]


@options.command()
@options.json_option
@options.format_option
@options.debug_option
def command(as_json: bool, form: str) -> None:
    """List the scenarios that come with foretrain."""
    rows = [row for name in names("scenarios") if (row := _row(name)) is not None]
    show_as(rows, _table, lambda found: _table(found).text(), _json, "json" if as_json else form)


def _table(rows: list[Row]) -> Table:
    return Table((Column("scenario"), Column("description")), tuple(row[:2] for row in rows))


def _json(rows: list[Row]) -> dict[str, object]:
    return {"scenarios": [dict(zip(("name", "description", "file"), row, strict=True)) for row in rows]}


def _row(name: str) -> Row | None:
    """Name, the file's own description, file; None for a file that is no scenario (published figures)."""
    path = find("scenarios", name)
    node = load(path)
    if kind_of(path, node) != "scenario":
        return None
    description = node.at("description")
    return name, str(description.value) if description is not None else "", shown(path)
