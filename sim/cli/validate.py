"""`foretrain validate`: how right foretrain is on published measurements."""

from __future__ import annotations

from pathlib import Path

import click

from sim.cli import options
from sim.report import validation as report
from sim.report.validation_page import markdown as markdown_table
from sim.validate.sets import Report, find_set, set_files, validate


@click.command()
@click.argument("sets", nargs=-1)
@click.option(
    "--rows", type=click.Path(path_type=Path), help="Run this CSV through the set's rules instead of its own."
)
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Write predicted against measured (HTML)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--markdown", is_flag=True, help="Print one table of all published sets (docs/validation.md).")
@options.quiet_option
@options.debug_option
def command(
    sets: tuple[str, ...], rows: Path | None, plot: Path | None, as_json: bool, markdown: bool, quiet: bool
) -> None:
    """Simulate published measurements and print the errors, beside a null model.

    SETS are names (`paper`, `trends`, and those of scenarios/published) or files; all of them when empty.
    """
    names = sets or (*(() if markdown else ("paper",)), *set_files())
    if markdown and (as_json or {"paper", "trends"} & set(names)):
        raise click.UsageError("--markdown prints published sets only, and not with --json")
    if rows is not None and (len(names) != 1 or names[0] in ("paper", "trends")):
        raise click.UsageError("--rows needs exactly one set that has a CSV")
    body: dict[str, object] = {}
    texts: list[str] = []
    reports: list[Report] = []
    for name in names:
        if name in ("paper", "trends"):
            text, found = _special(name)
            texts.append(text)
            body |= found
            continue
        ticker = options.Ticker(name, quiet)
        reports.append(validate(find_set(name), rows, ticker))
        ticker.done()
        texts.append(report.render(reports[-1]))
    if plot is not None:
        from sim.report.scatter import write_scatter  # noqa: PLC0415  (start-up time: only with --plot)

        write_scatter(plot, reports)
        options.progress(f"wrote {plot}", quiet)
    if markdown:
        click.echo(markdown_table(reports))
    elif as_json:
        options.write_json(body | (report.to_json(reports) if reports else {}))
    else:
        click.echo("\n\n".join(texts))


def _special(name: str) -> tuple[str, dict[str, object]]:
    """Sets that are computed instead of read from a CSV."""
    if name == "trends":
        from sim.report import trends  # noqa: PLC0415  (start-up time)

        return trends.backtest_text(), trends.backtest_json()
    from sim.validate.paper import lines  # noqa: PLC0415  (start-up time)

    found = list(lines())
    return report.paper(found), report.paper_json(found)
