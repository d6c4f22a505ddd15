"""A run and what stands beside it: its ops, more and fewer devices, other batches, what the hardware is worth.

The runs beside it are studies of the scenario as it was planned; a design without a result keeps its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from sim.device.table import OpRow, op_table
from sim.errors import ForetrainError
from sim.files import Document, Leaf, build, locating
from sim.plan import Plan
from sim.records import dataclass
from sim.result import Result
from sim.scenario import PlanRequest, Scenario
from sim.simulation import model_of, project_target, record_of, simulate
from sim.study.sensitivity import Sensitivity, sensitivity
from sim.study.sweep import Outcomes, sweep

FACTORS = tuple(2.0**k for k in range(-4, 5))
PARTS = 4  # of a dossier: run, devices, batches, sensitivity


@dataclass(frozen=True, slots=True)
class Dossier:
    """One run and its surroundings; a part that is None does not apply to the scenario."""

    result: Result
    scenario: Scenario
    leaves: tuple[Leaf, ...]
    ops: tuple[OpRow, ...]
    devices: Outcomes | None
    batches: Outcomes | None
    worth: Sensitivity | None


def bare(document: Document, scenario: Scenario, result: Result) -> Dossier:
    """A run that is there already, with nothing simulated beside it."""
    return Dossier(result, scenario, document.leaves, ops_of(scenario, result.plan), None, None, None)


def dossier(document: Document, seed: int = 0, progress: Callable[[int, int], None] = lambda n, of: None) -> Dossier:
    """Simulate a scenario with its timeline and levers, and the runs beside it."""
    with locating(document):
        scenario = build(document)
        result = simulate(scenario, trace=True, searched=True, seed=seed)
    found: list[Outcomes | Sensitivity | None] = []
    progress(1, PARTS)
    for finished, part in enumerate(_beside(scenario, result, seed), start=2):
        found.append(part)
        progress(finished, PARTS)
    devices, batches, worth = found
    return replace(
        bare(document, scenario, result),
        devices=devices if isinstance(devices, Outcomes) else None,
        batches=batches if isinstance(batches, Outcomes) else None,
        worth=worth if isinstance(worth, Sensitivity) else None,
    )


def ops_of(scenario: Scenario, plan: Plan) -> tuple[OpRow, ...]:
    """Every op of a step on one device, the longest first."""
    executed = record_of(scenario, model_of(scenario, project_target(scenario)), plan).executed()
    return op_table(executed, scenario.accelerator)


def _beside(scenario: Scenario, result: Result, seed: int) -> Iterator[Outcomes | Sensitivity | None]:
    placed = scenario.on_part(result.devices, result.shape)
    kept = replace(placed, plan=kept_plan(scenario.plan, result.plan))
    yield _devices(kept, result, seed)
    yield _batches(kept, result, seed)
    metric = "step_s" if result.time_to_target is None else "time_to_target_s"
    try:
        yield sensitivity(kept, metric, seed=seed)
    except ForetrainError:  # a part that is turned leaves no run: the page goes without it
        yield None


def kept_plan(asked: PlanRequest, chosen: Plan) -> PlanRequest:
    """The plan as it was chosen; a global batch that nobody gave follows from the rest of it."""
    names = [field.name for field in fields(asked) if field.name not in ("search", "global_batch")]
    return replace(asked, search=False, **{name: getattr(chosen, name) for name in names})


def _devices(scenario: Scenario, result: Result, seed: int) -> Outcomes | None:
    """The same plan on fewer and more devices: what is left over goes to data parallelism."""
    if not scenario.cluster.levels:
        return None  # a graph is as large as its edges say
    sizes = sorted({size for factor in FACTORS if (size := round(result.devices * factor)) >= 1})
    return sweep(scenario.with_("plan.data", None), {"cluster.devices": sizes}, jobs=1, seed=seed)


def _batches(scenario: Scenario, result: Result, seed: int) -> Outcomes | None:
    """Other batches: the global one where it is given, else the sub-batch."""
    if result.time_to_target is None:
        return None
    field = "sub_batch" if scenario.plan.global_batch is None else "global_batch"
    sizes = sorted({size for factor in FACTORS if (size := round(getattr(result.plan, field) * factor)) >= 1})
    return sweep(scenario, {f"plan.{field}": sizes}, jobs=1, seed=seed)
