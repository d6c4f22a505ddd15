"""`foretrain report`: one page that answers, offline, with every picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from sim.cli import options
from sim.cli.compare import fail_with
from sim.cli.output import Output
from sim.cli.terminal import advise, safe
from sim.errors import InputError, Problem
from sim.files import load_document
from sim.files.idle import idle_fields
from sim.study.compare import Comparison, explained, named, run_all
from sim.study.store import MAGIC


@options.command()
@click.argument("subjects", metavar="SCENARIO|RUN|STUDY...", nargs=-1, required=True)
@options.picture_option("-o", "--output", help="The page (HTML).  [required]")
@options.force_option
@options.sets_option
@options.seed_option
@options.quiet_option
@options.debug_option
def command(
    subjects: tuple[str, ...], output: Path | None, force: bool, sets: tuple[str, ...], seed: int | None, quiet: bool
) -> None:
    """Write one self-contained page: the answer, its band, every picture, the input with its origins, the sources.

    A SCENARIO is simulated with the runs beside it; a RUN is a folder that `run -o` wrote, simulated as it was; a STUDY
    is the file of a sweep. Several scenarios are compared.
    """
    if output is None:
        raise click.UsageError("say where the page goes: -o page.html")
    from sim.report.page import comparison_page, run_page, study_page  # noqa: PLC0415  (start-up time)
    from sim.study.chip_balance import balance  # noqa: PLC0415
    from sim.study.dossier import dossier  # noqa: PLC0415
    from sim.study.sweep import read_study  # noqa: PLC0415

    if len(subjects) > 1:
        files = Output(force, quiet, subjects)
        files.check(output)
        wanted = named(subjects, (), sets, seed or 0)
        cases = options.Finished("compare", run_all(wanted), len(wanted), quiet)
        causes = options.Finished(
            "causes", (explained(cases.items, wanted, True) for _ in range(not cases.interrupted)), 1, quiet
        )
        advise((advice for case in cases.items for advice in case.advice), quiet)
        compared = causes.items[0] if causes.items else Comparison(tuple(cases.items))
        files.write(output, comparison_page(safe(compared)))
        cases.leave()
        causes.leave()
        fail_with(cases.items)
        return
    (subject,) = subjects
    path = Path(subject)
    if path.is_file() and path.read_bytes()[: len(MAGIC)] == MAGIC:
        if sets or seed is not None:
            raise click.UsageError("--set and --seed go with a scenario: a study was simulated already")
        files = Output(force, quiet, (path,))
        files.check(output)
        study = safe(read_study(path))
        files.write(output, study_page(study, path.stem, safe(balance(study))))
        return
    if (path / "run.json").is_file():
        about = _about(path / "run.json")
        subject, seed = str(path / "scenario.yaml"), int(str(about["seed"])) if seed is None else seed
    document = load_document(subject, sets)
    files = Output(force, quiet, document.files)
    files.check(output)
    with options.counted("report", quiet) as progress:
        found = dossier(document, seed or 0, progress)
    advise(idle_fields(document, found.scenario, found.result), quiet)
    files.write(output, run_page(safe(found)))


def _about(file: Path) -> Mapping[str, object]:
    """What a run folder says of its run."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("seed"), int):
            return found
    except ValueError:
        pass
    raise InputError(Problem("is not the run.json of a run folder", file=str(file)))
