"""`foretrain validate`: compare with published measurements."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import click

from sim.cli import options
from sim.cli.output import Output
from sim.cli.process import FailedItemsError
from sim.cli.terminal import safe, show, show_json
from sim.errors import ForetrainError
from sim.report import validation as report
from sim.report.validation_page import constants_markdown
from sim.report.validation_page import markdown as markdown_table
from sim.validation.outcomes import outcomes
from sim.validation.sets import Report, find_set, row_scenario, row_trace, scenario_texts, set_files, validate

SPECIAL: Final = ("paper", "trends", "generations")
"""Sets that are computed instead of read from a CSV."""


@options.command()
@click.argument("sets", nargs=-1)
@click.option(
    "--rows", type=click.Path(path_type=Path), help="Run this CSV through the set's rules instead of its own."
)
@options.picture_option("--plot", help="Write predicted against measured (HTML).")
@options.force_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--markdown", is_flag=True, help="Print one table of all published sets (docs/validation.md).")
@click.option("--constants", is_flag=True, help="Print which constants were set with which rows in sight, no more.")
@click.option("--row", "row_ids", multiple=True, metavar="ID", help="Only this row (repeatable).")
@click.option("--show-scenario", is_flag=True, help="Print the scenario a row becomes, which `run` takes; one --row.")
@click.option("--by", metavar="COLUMNS", help="Errors by the cells of these columns too (`framework,recompute`).")
@click.option("--sensitivity", "turned", is_flag=True, help="How each hardware property moves each set; no more.")
@click.option("--jobs", type=click.IntRange(1), default=None, help="Processes; as many as cores where they pay.")
@options.file_option("--trace", help="Write the step of the one --row as a Perfetto trace (.json, .json.gz).")
@options.quiet_option
@options.debug_option
def command(
    sets: tuple[str, ...],
    rows: Path | None,
    plot: Path | None,
    force: bool,
    as_json: bool,
    markdown: bool,
    constants: bool,
    row_ids: tuple[str, ...],
    show_scenario: bool,
    by: str | None,
    turned: bool,
    jobs: int | None,
    trace: Path | None,
    quiet: bool,
) -> None:
    """Simulate published measurements and print the errors, beside a null model.

    SETS are names (`paper`, `trends`, `generations`, and those of scenarios/published) or files; all of them when
    empty. A set that cannot be read does not stop the others.
    """
    if (constants or show_scenario) and (as_json or markdown or plot is not None or (constants and (sets or row_ids))):
        raise click.UsageError("--constants stands alone, --show-scenario beside a set and its --row")
    if constants:
        from sim.validation.constants import constants as listed  # noqa: PLC0415  (start-up time: only with --constants)

        show(constants_markdown(safe(listed())))
        return
    if row_ids and (len(sets) != 1 or sets[0] in SPECIAL):
        raise click.UsageError("--row needs exactly one set that has a CSV")
    if show_scenario:
        if len(row_ids) != 1:
            raise click.UsageError("--show-scenario needs one --row")
        show(row_scenario(find_set(sets[0]), row_ids[0], rows).rstrip())
        return
    output = Output(force, quiet, (*sets, rows))
    output.check(plot, trace)
    if turned or trace is not None:
        if len(sets) != 1 or sets[0] in SPECIAL or (trace is not None and len(row_ids) != 1):
            raise click.UsageError("--sensitivity needs exactly one set of runs, --trace one of its rows (--row)")
        if trace is not None:
            output.write(trace, row_trace(find_set(sets[0]), row_ids[0], rows, packed=trace.suffix == ".gz"))
        if turned:
            _sensitivity(sets[0], rows, as_json, quiet)
            return
    names = sets or (*(() if markdown else ("paper",)), *set_files())
    if markdown and (as_json or set(SPECIAL) & set(names)):
        raise click.UsageError("--markdown prints published sets only, and not with --json")
    if rows is not None and (len(names) != 1 or names[0] in SPECIAL):
        raise click.UsageError("--rows needs exactly one set that has a CSV")
    columns = tuple(name.strip() for name in by.split(",")) if by else ()
    body: dict[str, object] = {}
    texts: list[str] = []
    reports: list[Report] = []
    failures: list[BaseException] = []
    published = [name for name in names if name not in SPECIAL]
    asked = [text for name in published for text in scenario_texts(name, rows, row_ids)]
    try:
        with outcomes(asked, jobs) as known:
            for name in names:
                try:
                    if name in SPECIAL:
                        text, found = _special(name)
                        body |= found
                    else:
                        watch = partial(options.watched, name, quiet=quiet)
                        reports.append(validate(name, rows, watch, row_ids, columns, known))
                        text = report.render(safe(reports[-1]))
                    texts.append(text)
                    if reports and reports[-1].interrupted:
                        raise KeyboardInterrupt
                except ForetrainError as error:
                    failures.append(error)
    except KeyboardInterrupt as error:
        failures.append(error)
    if plot is not None and reports:
        from sim.report.figures import curves, kit  # noqa: PLC0415  (start-up time: only with --plot)

        output.write(plot, kit.page(curves.predicted(reports)))
    if markdown:
        show(markdown_table(reports))
    elif as_json:
        show_json(body | (report.merged(reports) if reports else {}))
    elif texts:
        show("\n\n".join(texts))
    if failures:
        raise FailedItemsError(*failures)


def _sensitivity(name: str, rows: Path | None, as_json: bool, quiet: bool) -> None:
    """Each row once per property."""
    from sim.validation.sensitivity import sensitivity  # noqa: PLC0415  (start-up time: only with --sensitivity)

    moved = sensitivity(find_set(name), rows, partial(options.watched, name, quiet=quiet))
    if as_json:
        show_json(report.sensitivity_json(name, moved))
    else:
        show(report.sensitivity(name, safe(moved)))


def _special(name: str) -> tuple[str, dict[str, object]]:
    """Sets that are computed instead of read from a CSV."""
    if name == "trends":
        from sim.report import trends  # noqa: PLC0415  (start-up time)

        return trends.backtest_text(), trends.backtest_json()
    if name == "generations":
        from sim.report.generations import generations, generations_json  # noqa: PLC0415  (start-up time)
        from sim.validation.generations import orders, ratios  # noqa: PLC0415  (start-up time)

        pairs, ranked = ratios(), orders()
        return generations(pairs, ranked), generations_json(pairs, ranked)
    from sim.validation.paper import lines  # noqa: PLC0415  (start-up time)

    found = list(lines())
    return report.paper(found), report.paper_json(found)
