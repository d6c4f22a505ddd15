"""What a result rests on: sources, published inputs, what is extrapolated, what is missing and why."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from sim.result import Inherited, Provenance
from sim.scaling import Projection
from sim.scenario import Scenario


def missing(no_energy: str, no_cost: str, projected: bool, timed: bool) -> dict[str, str]:
    """Why parts of the result are empty."""
    whys = {"energy": no_energy, "cost": no_cost}
    if not projected:
        whys["projection"] = "the scenario names no scaling domain"
    if not timed:
        whys["time_to_target"] = "the scenario names no target: only the step was simulated"
    return {key: why for key, why in whys.items() if why}


def extrapolated(scenario: Scenario, projection: Projection | None) -> tuple[str, ...]:
    notes = []
    if projection is not None and projection.extrapolated and scenario.scaling is not None:
        known = scenario.scaling.fitted_to_units or scenario.scaling.current_units
        notes.append(
            f"the power laws were fitted up to {known:.3g} {scenario.scaling.unit}s; "
            f"the target needs {projection.dataset_units / known:.3g} times that"
        )
    if scenario.accelerator.status != "shipped":
        notes.append(f"the accelerator {scenario.accelerator.name} is {scenario.accelerator.status}")
    return tuple(notes)


def provenance(scenario: Scenario, inherited: tuple[Inherited, ...] = ()) -> Provenance:
    try:
        release = version("foretrain")
    except PackageNotFoundError:
        release = "unknown"
    sources = [*scenario.sources, *(s.text for s in scenario.accelerator.sources.values()), scenario.cluster.source]
    if scenario.scaling is not None:
        sources.append(scenario.scaling.source)
    published = scenario.training.compute_s
    inputs = (
        (f"compute time per step {published.value:g} s, not computed here ({published.source})",) if published else ()
    )
    return Provenance(release, tuple(dict.fromkeys(text for text in sources if text)), inputs, inherited)
