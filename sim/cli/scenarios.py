"""`foretrain scenarios`: list the scenarios that come with foretrain, by the question they answer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from sim.cli import options
from sim.cli.terminal import show_as
from sim.files.kinds import kind_of
from sim.files.library import find, folder, names, shown
from sim.files.loader import load
from sim.report.tables import Column, Table

Row = dict[str, str]


@options.command()
@options.json_option
@options.format_option
@options.debug_option
def command(as_json: bool, form: str) -> None:
    """List the scenarios that come with foretrain, by the question they answer."""
    questions = _questions()
    rows = [row for name in names("scenarios") if (row := _row(name, questions)) is not None]
    rows.sort(key=lambda row: [*questions.values(), ""].index(row["question"]))
    show_as(rows, _table, _text, lambda found: {"scenarios": found}, "json" if as_json else form)


def _table(rows: list[Row]) -> Table:
    columns = ("question", "name", "description")
    return Table(tuple(map(Column, columns)), tuple(tuple(row[column] for column in columns) for row in rows))


def _text(rows: list[Row]) -> str:
    """Every question once, its scenarios below it."""
    width = max((len(row["name"]) for row in rows), default=0)
    lines = []
    for question, asked in groupby(rows, key=lambda row: row["question"]):
        lines += ["", question, *(f"  {row['name']:{width}}  {row['description']}".rstrip() for row in asked)]
    return "\n".join(lines[1:])


def _questions() -> Mapping[str, str]:
    """What the scenarios of a folder answer, in the order of the list."""
    asked: Mapping[str, str] = load(folder("scenarios") / "questions.yaml").plain["questions"]
    return asked


def _row(name: str, questions: Mapping[str, str]) -> Row | None:
    """Name, the file's own description, file, question; None for a file that is no scenario (published figures)."""
    path = find("scenarios", name)
    node = load(path)
    if kind_of(path, node) != "scenario":
        return None
    told = node.at("description")
    description = "" if told is None else str(told.value)
    question = questions.get(name.partition("/")[0], "")
    return {"name": name, "description": description, "file": shown(path), "question": question}
