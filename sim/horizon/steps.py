"""The step of a scenario on a chip as it was foreseen, beside the step on the chip that came."""

from __future__ import annotations

from collections.abc import Mapping

from sim.device.records import Accelerator
from sim.errors import InputError, Problem
from sim.files.hardware import accelerator_files, build_accelerator
from sim.horizon.backtest import anchor
from sim.horizon.chip_projection import project_chip
from sim.horizon.points import fit_points, point_of
from sim.horizon.projected import Band
from sim.records import dataclass
from sim.scenario import Scenario
from sim.simulation import simulate


@dataclass(frozen=True, slots=True)
class StepRatio:
    """How much faster than on `base` a step is on `target`, and was foreseen to be: step time of the base over theirs,
    plan, links and software as the scenario has them."""

    base: str
    target: str
    cutoff: int
    actual: float
    foreseen: Mapping[Band, float]

    @property
    def inside(self) -> bool:
        """Whether the low and the high machine enclose what came."""
        return self.foreseen[Band.LOW] <= self.actual <= self.foreseen[Band.HIGH]


def step_ratio(scenario: Scenario, cutoff: int, target: str) -> StepRatio:
    """`target`, foreseen at the start of `cutoff` from the best part its vendor had then."""
    files = accelerator_files()
    if target not in files:
        raise InputError(Problem("no such accelerator in the library", "--target", target))
    point = point_of(files[target])
    base = anchor((known for known in fit_points() if known.year < cutoff), point.vendor)
    if base is None or base.name not in files:
        raise InputError(Problem(f"{point.vendor} had no part in the library by then", "--cutoff", f"{cutoff}"))
    projection = project_chip(files[base.name], point.year, before=float(cutoff))
    before_s = _step_s(scenario, build_accelerator(files[base.name]))
    return StepRatio(
        base.name,
        target,
        cutoff,
        before_s / _step_s(scenario, build_accelerator(files[target])),
        {band: before_s / _step_s(scenario, build_accelerator(projection.files[band])) for band in Band},
    )


def _step_s(scenario: Scenario, chip: Accelerator) -> float:
    return simulate(scenario.with_("accelerator", chip), levers=False, must_fit=False).step.time_s
