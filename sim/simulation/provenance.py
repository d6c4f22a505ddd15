"""What a result rests on: sources, published inputs, what is extrapolated, what is missing and why."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from sim.result import Inherited, Provenance, TimeToTarget
from sim.scaling import Domain, Projection
from sim.scenario import Scenario


def missing(no_energy: str, no_cost: str, projected: bool, timed: bool) -> dict[str, str]:
    """Why parts of the result are empty."""
    whys = {"energy": no_energy, "cost": no_cost}
    if not projected:
        whys["projection"] = "the scenario names no scaling domain"
    if not timed:
        whys["time_to_target"] = "the scenario names no target: only the step was simulated"
        whys["campaign"] = "the scenario names no target: a campaign has an end"
    return {key: why for key, why in whys.items() if why}


FAR: Final = 28
"""Multiples of the critical batch: the eight workloads of Shallue et al. 2019, figure 1, were tested up to 2.6 to 461
times theirs, half of them to 28."""


def extrapolated(
    scenario: Scenario, projection: Projection | None, goal: TimeToTarget | None, batch: int
) -> tuple[str, ...]:
    notes: list[str] = []
    domain = scenario.scaling
    if projection is not None and domain is not None:
        notes += _beyond_the_fit(domain, projection)
    if goal is not None and goal.at_least:
        notes.append(f"the time is a lower bound: {goal.at_least}")
    critical = goal.critical_batch.samples if goal is not None and goal.critical_batch is not None else None
    if critical is not None and batch > FAR * critical:
        notes.append(
            f"the global batch is {batch / critical:.3g} times the critical batch of {critical:,.0f} samples; "
            f"half the workloads of Shallue et al. 2019 were tested up to {FAR} times theirs"
        )
    if scenario.accelerator.status != "shipped":
        notes.append(f"the accelerator {scenario.accelerator.name} is {scenario.accelerator.status}")
    return tuple(notes)


def _beyond_the_fit(domain: Domain, projection: Projection) -> list[str]:
    """Data, model size or error outside what the laws and the passes were fitted on."""
    notes = []
    units, fitted = projection.dataset_units * (projection.passes or 1.0 if domain.loss else 1.0), domain.fitted_units
    if fitted is not None and units > fitted:
        notes.append(
            f"the power laws were fitted up to {fitted:.3g} {domain.unit}s; "
            f"the target needs {units / fitted:.3g} times that"
        )
    law, size = domain.loss, projection.parameters
    if law is not None and law.fitted_parameters and size is not None:
        low, high = law.fitted_parameters
        if not low <= size <= high:
            notes.append(f"the loss law was fitted on {low:.3g} to {high:.3g} parameters; the target needs {size:.3g}")
        if law.repeats is not None and (projection.passes or 1.0) > law.repeats.most_passes:
            most = law.repeats.most_passes
            notes.append(
                f"{projection.passes:.3g} passes: beyond {most:g} loss can rise with repeats, which no law here has"
            )
    known = projection.known
    if known is not None and (known.error is None or known.error > projection.target_error):
        at = f"an error of {known.error:g}" if known.error is not None else "another metric"
        notes.append(f"the {known.passes:g} passes were seen at {at} ({known.model} on {known.data_set})")
    return notes


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
