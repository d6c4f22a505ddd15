"""`foretrain scenarios`: list the scenarios that come with foretrain, by the question they answer."""

from __future__ import annotations

from collections.abc import Mapping

import click

from sim.cli import options
from sim.cli.terminal import printable, show, show_json
from sim.files.checking import kind_of
from sim.files.library import find, folder, names, shown
from sim.files.loader import load


@options.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.debug_option
def command(as_json: bool) -> None:
    """List the scenarios that come with foretrain, by the question they answer."""
    questions = _questions()
    rows = [row for name in names("scenarios") if (row := _row(name, questions)) is not None]
    rows.sort(key=lambda row: [*questions.values(), ""].index(row["question"]))
    if as_json:
        show_json({"scenarios": rows})
        return
    width = max((len(row["name"]) for row in rows), default=0)
    asked = None
    for row in rows:
        if row["question"] != asked:
            show(("" if asked is None else "\n") + printable(row["question"]))
            asked = row["question"]
        show(f"  {row['name']:{width}}  {printable(row['description'])}".rstrip())


def _questions() -> Mapping[str, str]:
    """What the scenarios of a folder answer, in the order of the list."""
    asked: Mapping[str, str] = load(folder("scenarios") / "questions.yaml").plain["questions"]
    return asked


def _row(name: str, questions: Mapping[str, str]) -> dict[str, str] | None:
    """Name, the file's own description, file, question; None for a file that is no scenario (published figures)."""
    path = find("scenarios", name)
    node = load(path)
    if kind_of(path, node) != "scenario":
        return None
    told = node.at("description")
    description = "" if told is None else str(told.value)
    question = questions.get(name.partition("/")[0], "")
    return {"name": name, "description": description, "file": shown(path), "question": question}
