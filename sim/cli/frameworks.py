"""`foretrain frameworks`: training frameworks by release, and what each decides."""

from __future__ import annotations

import click

from sim.cli import options
from sim.cli.terminal import safe, show, show_as, show_json
from sim.files.frameworks import framework_files, load_framework
from sim.report import frameworks as report


@click.group(cls=options.Group)
def command() -> None:
    """Training frameworks by release: list, or show what one decides and where that is known from."""


@command.command("list")
@options.json_option
@options.format_option
@options.debug_option
def list_command(as_json: bool, form: str) -> None:
    """Every framework of the library with its releases."""
    show_as(framework_files(), report.as_table, report.listing, report.listing_json, "json" if as_json else form)


@command.command("show")
@click.argument("name")
@click.option("--date", "software_date", default="", help="The newest release out by then (year-month).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.debug_option
def show_command(name: str, software_date: str, as_json: bool) -> None:
    """What NAME[@RELEASE] decides where a scenario does not, with the source of each."""
    framework = load_framework(name, software_date)
    if as_json:
        show_json(report.framework_json(framework))
    else:
        show(report.text(safe(framework)))
