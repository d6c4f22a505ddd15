"""`foretrain check`: check scenario or hardware files without running anything."""

from __future__ import annotations

from pathlib import Path

import click

from sim.cli import options
from sim.cli.terminal import advise, printable, show, show_json
from sim.errors import InputError, Problem
from sim.files.checking import Finding, check_file, files_of
from sim.files.loader import Node


@options.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE|FOLDER…")
@options.sets_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.quiet_option
@options.debug_option
def command(paths: tuple[str, ...], sets: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Check scenario and hardware files: every problem at once, exit 2 if there is one.

    Advice is what `run` takes and looks like a slip: no source, a rate that counts both directions, sparse peaks.
    """
    files = [file for path in paths for file in files_of(path)]
    readers = {"validation set": _published}
    checked = options.Finished("check", (check_file(file, sets, readers) for file in files), len(files), quiet)
    findings = checked.items
    problems = [problem for finding in findings for problem in finding.problems]
    if as_json:
        show_json({"files": [_row(finding) for finding in findings], "problems": len(problems)})
    elif not quiet:
        for finding in findings:
            verdict = f"{len(finding.problems)} problem(s)" if finding.problems else "ok"
            verdict += f", {len(finding.advice)} piece(s) of advice" if finding.advice else ""
            show(f"{printable(finding.file)}: {finding.kind}: {verdict}")
    advise((advice for finding in findings for advice in finding.advice), quiet or as_json)
    checked.leave()
    if problems:
        raise InputError(*dict.fromkeys(problems))
    if not files:
        raise InputError(Problem("no YAML files", file=str(Path(paths[0]))))


def _row(finding: Finding) -> dict[str, object]:
    told = {"problems": finding.problems, "advice": finding.advice}
    return {"file": finding.file, "kind": finding.kind} | {key: [str(p) for p in ps] for key, ps in told.items()}


def _published(path: Path, node: Node) -> object:
    """A validation set, read by the room above spec."""
    from sim.validation.published import load_validation_set  # noqa: PLC0415  (start-up time)

    return load_validation_set(path)
