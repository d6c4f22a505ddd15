"""`foretrain run`: how long a scenario takes to reach its target, and what limits it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from sim.cli import options
from sim.cli.output import Output
from sim.cli.terminal import advise, answer, safe
from sim.engine.step import Engine
from sim.engine.trace import trace_file
from sim.files import Document, build, load_document, locating
from sim.files.idle import idle_fields
from sim.files.library import shown
from sim.files.scenario import resolved
from sim.files.yaml_text import yaml_text
from sim.report.run import render, to_json
from sim.result import Result
from sim.scenario import Scenario
from sim.simulation import simulate

FILES = ("result.json", "report.txt", "report.html", "scenario.yaml", "run.json", "log.txt")


@options.command()
@options.scenario_argument
@options.common
@options.output_option
@options.file_option("--trace", help="Write the step, and the campaign, as a Perfetto trace (.json, .json.gz).")
@options.picture_option("--plot", help="Draw the campaign (HTML).")
@options.force_option
@click.option("--search", is_flag=True, help="Look for a better plan among all there are (seconds): a lever.")
@click.option("--engine", type=click.Choice(["simpy", "recursion"]), default="simpy", show_default=True)
def command(
    scenario: str,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
    output: Path | None,
    trace: Path | None,
    plot: Path | None,
    force: bool,
    search: bool,
    engine: Engine,
) -> None:
    """How long SCENARIO takes to reach its target, and what limits it.

    A run folder (-o) holds the result, the report as text and page, the resolved scenario, version, seed and a log.
    """
    document = load_document(scenario, sets)
    files = Output(force, quiet, document.files)
    files.check(trace, plot)
    if output is not None:
        files.check(*(output / name for name in FILES), folder=output)
    with locating(document):
        asked = build(document)
        result = simulate(asked, engine=engine, trace=trace is not None, searched=search, seed=seed or 0)
    advise(idle_fields(document, asked, result), quiet)
    if trace is not None:
        spans = result.campaign.spans if result.campaign else ()
        both = replace(result.step, slices=(*result.step.slices, *spans))
        files.write(trace, trace_file(both, result.memory, packed=trace.suffix == ".gz"))
    if plot is not None:
        files.write(plot, _picture(safe(result)))
    if output is not None:
        files.folder(output, _folder(document, asked, result, sets, seed or 0, engine))
    answer(result, render, to_json, as_json)


def _folder(
    document: Document, scenario: Scenario, result: Result, sets: tuple[str, ...], seed: int, engine: Engine
) -> dict[str, str | bytes]:
    """The files of a run folder: the same run gives the same bytes."""
    from sim.report.page import run_page  # noqa: PLC0415  (start-up time: only with -o)
    from sim.study.dossier import bare  # noqa: PLC0415

    text = render(safe(result))
    about = {
        "scenario": document.file,
        "sets": list(sets),
        "seed": seed,
        "engine": engine,
        "version": result.provenance.version,
    }
    log = [f"foretrain {result.provenance.version}", f"seed {seed}, engine {engine}"]
    log += [*(f"read {shown(path)}" for path in document.files), *sets, f"{result.step.events:,} events"]
    return {
        "result.json": _json(to_json(result)),
        "report.txt": text + "\n",
        "report.html": run_page(safe(bare(document, scenario, result))),
        "scenario.yaml": yaml_text(resolved(document)),
        "run.json": _json(about),
        "log.txt": "".join(f"{safe(line)}\n" for line in log),
    }


def _picture(result: Result) -> str:
    """The campaign as a page; a scenario without a target has none."""
    if result.campaign is None:
        raise click.UsageError("--plot draws a campaign, and the scenario names no target")
    from sim.report.figures import kit  # noqa: PLC0415  (start-up time: only with --plot)
    from sim.report.figures.run import progress, waterfall  # noqa: PLC0415

    return kit.page(waterfall(result.campaign), progress(result.campaign))


def _json(body: object) -> str:
    return json.dumps(body, indent=2, allow_nan=False) + "\n"
