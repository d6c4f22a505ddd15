"""A scenario over a space of designs: grid, zip, rows of a CSV, Latin hypercube or Sobol sequence."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from sim.answer import Answer
from sim.axes import Axis, Combination, axis
from sim.errors import InputError, Problem
from sim.files import scenario_of
from sim.files.loader import core_scalar
from sim.records import dataclass
from sim.scenario import Scenario
from sim.study.designs import Designs
from sim.study.executors import executors
from sim.study.runner import Progress, Study, run
from sim.study.store import Outcome, facts, finished, outcomes


@dataclass(frozen=True, slots=True)
class Outcomes(Answer):
    """Finished designs of a study: all of them, or those on a Pareto front; a design without a result has a reason."""

    REPORT: ClassVar[str] = "sim.report.study"
    designs: Designs
    identity: Mapping[str, object]
    outcomes: tuple[Outcome, ...]
    objectives: tuple[str, ...] = ()  # metrics that designs were chosen by
    finished: int | None = None  # designs of the study, where its file says


def sweep(
    scenario: Scenario | str | Path,
    axes: Mapping[str, object] | None = None,
    *,
    combine: Combination | str = Combination.GRID,
    samples: int = 0,
    sets: Sequence[str] = (),
    file: str | Path | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    seed: int = 0,
    screen: bool = False,
    bands: bool = False,
    sort: str = "number",
    progress: Progress = lambda finished, total: None,
) -> Outcomes:
    """Simulate a scenario for every design of a space: `sweep("paper/word-lm", {"plan.sub_batch": [32, 64]})`.

    `axes`: field → a list of values or `{"from", "to", "count", "scale"}`; without them the scenario's own study.
    An axis is a field of the scenario or a property of its hardware (`peak`, `link_bandwidth` …). `screen`: designs
    that differ in such properties alone are answered in columns, without a campaign, a hundred thousand a second.
    `bands`: 5th and 95th percentiles of time, energy and cost are drawn for every design.
    `file`: the study file, gone on with where it was stopped; `jobs`, `dask`: where designs run.
    """
    chosen = [axis(path, given) for path, given in (axes or {}).items()]
    study = study_of(scenario, sets, chosen, Combination(combine), samples, seed, screen, bands)
    return simulated(study, file, jobs, dask, sort, progress)


def simulated(
    study: Study,
    file: str | Path | None,
    jobs: int | None,
    dask: str | None,
    sort: str,
    progress: Progress,
) -> Outcomes:
    """Every design of a study, those that its file holds already as they stand there."""
    with study_file(file) as path:
        way, workers = executors(len(study.designs), jobs, dask, study.screened)
        run(study, path, way, workers, progress=progress)
        return stored(study.designs, path, sort)


@contextmanager
def study_file(file: str | Path | None) -> Iterator[Path]:
    """The study file named, or one for this run only."""
    if file is not None:
        yield Path(file)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "study.db"


def stored(designs: Designs, file: Path, sort: str = "number", limit: int | None = None) -> Outcomes:
    """What a study file holds."""
    return Outcomes(designs, facts(file), tuple(outcomes(file, sort, limit)), finished=finished(file))


def read_study(file: Path) -> Outcomes:
    """A study file alone: its designs and what is finished of them."""
    stated = facts(file)
    axes, combination, samples = stated.get("axes"), stated.get("combination"), stated.get("samples")
    if not isinstance(axes, dict) or not isinstance(samples, int) or not isinstance(combination, str):
        raise InputError(Problem("was written by another release", file=str(file)))
    if long := [path for path, given in axes.items() if isinstance(given, dict) and "first" in given]:
        rule = "keeps only the beginning of a very long axis: its designs cannot be told"
        raise InputError(Problem(rule, f"study.axes.{long[0]}", file=str(file)))
    seed = stated.get("sample_seed")
    listed = tuple(axis(path, given) for path, given in axes.items())
    given = stated.get("start", [])
    start = tuple(tuple(design) for design in given) if isinstance(given, list) else ()
    designs = Designs(listed, Combination(combination), samples, seed if isinstance(seed, int) else 0, start)
    return stored(designs, file)


def study_of(
    scenario: Scenario | str | Path,
    sets: Sequence[str] = (),
    axes: Iterable[Axis] = (),
    combination: Combination = Combination.GRID,
    samples: int = 0,
    seed: int = 0,
    screened: bool = False,
    bands: bool = False,
) -> Study:
    """The study of `axes`, or the scenario's own."""
    if screened and bands:
        raise InputError(Problem("are not drawn for designs that are screened", "bands"))
    chosen = tuple(axes)
    if not chosen:
        own = scenario_of(scenario, sets).study
        if own is None:
            hint = "study: {axes: {cluster.devices: [8, 64]}}, or --axis cluster.devices=8,64"
            file = "" if isinstance(scenario, Scenario) else str(scenario)
            raise InputError(Problem("is required for a sweep", "study", file=file, hint=hint))
        chosen = tuple(axis(path, given) for path, given in own.axes.items())
        combination, samples = own.combine, own.samples
    named = scenario if isinstance(scenario, Scenario) else str(scenario)
    return Study(named, tuple(sets), Designs(chosen, combination, samples, seed), seed, screened, bands)


def axis_of_text(text: str, option: str = "--axis") -> Axis:
    """`PATH=a,b,c` or `PATH=FROM:TO:COUNT[:log]` of the command line."""
    path, equals, given = text.partition("=")
    if not equals or not path.strip() or not given.strip():
        example = "PATH=8,16,32 or PATH=1 TB/s:8 TB/s:5:log"
        raise InputError(Problem(f"must be {example}", option, text))
    parts = [part.strip() for part in given.split(":")]
    if len(parts) == 1:
        return axis(path.strip(), [core_scalar(value.strip()) for value in given.split(",") if value.strip()])
    return axis(path.strip(), _interval(parts, text, option))


def _interval(parts: Sequence[str], text: str, option: str) -> Mapping[str, object]:
    if len(parts) not in (3, 4) or not parts[2].isdigit():
        raise InputError(Problem("must be FROM:TO:COUNT or FROM:TO:COUNT:log", option, text))
    ends = [int(part) if part.lstrip("+-").isdigit() else part for part in parts[:2]]
    return {"from": ends[0], "to": ends[1], "count": int(parts[2]), "scale": parts[3] if len(parts) == 4 else "linear"}
