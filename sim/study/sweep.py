"""A scenario over a space of designs: grid, zip, rows of a CSV, Latin hypercube or Sobol sequence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sim.errors import InputError, Problem
from sim.files import load_scenario
from sim.scenario import Combination
from sim.study.axes import Axis, Designs, axis
from sim.study.runner import Study


def study_of(
    scenario: str,
    sets: Sequence[str] = (),
    axes: Iterable[Axis] = (),
    combination: Combination = Combination.GRID,
    samples: int = 0,
    seed: int = 0,
) -> Study:
    """The study of `axes`, or the scenario's own."""
    chosen = tuple(axes)
    if not chosen:
        own = load_scenario(scenario, sets).study
        if own is None:
            hint = "study: {axes: {cluster.devices: [8, 64]}}, or --axis cluster.devices=8,64"
            raise InputError(Problem("is required for a sweep", "study", file=scenario, hint=hint))
        chosen = tuple(axis(path, given) for path, given in own.axes.items())
        combination, samples = own.combine, own.samples
    return Study(scenario, tuple(sets), Designs(chosen, combination, samples, seed), seed)


def axis_of_text(text: str) -> Axis:
    """`PATH=a,b,c` or `PATH=FROM:TO:COUNT[:log]` of the command line."""
    path, equals, given = text.partition("=")
    if not equals or not path.strip() or not given.strip():
        example = "PATH=8,16,32 or PATH=1 TB/s:8 TB/s:5:log"
        raise InputError(Problem(f"must be {example}", "--axis", text))
    parts = [part.strip() for part in given.split(":")]
    if len(parts) == 1:
        return axis(path.strip(), [value.strip() for value in given.split(",") if value.strip()])
    return axis(path.strip(), _interval(parts, text))


def _interval(parts: Sequence[str], text: str) -> Mapping[str, object]:
    if len(parts) not in (3, 4) or not parts[2].isdigit():
        raise InputError(Problem("must be FROM:TO:COUNT or FROM:TO:COUNT:log", "--axis", text))
    ends = [int(part) if part.lstrip("+-").isdigit() else part for part in parts[:2]]
    return {"from": ends[0], "to": ends[1], "count": int(parts[2]), "scale": parts[3] if len(parts) == 4 else "linear"}
