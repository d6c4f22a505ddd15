"""What a result rests on: sources, published inputs, what is extrapolated, what is missing and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final

from sim.device.records import Source
from sim.fields import Status
from sim.result import Evidence, Inherited, Provenance, TimeToTarget
from sim.scaling import Domain, Projection, consistency, error_of_size
from sim.scenario import Scenario
from sim.simulation.uncertainty import carried
from sim.version import __version__

INPUT_STALL: Final = "input_stall_s"


def missing(scenario: Scenario, no_energy: str, no_cost: str, projected: bool, timed: bool) -> dict[str, str]:
    """Why parts of the result are empty."""
    whys = {"energy": no_energy, "cost": no_cost}
    if scenario.training.input is None:
        whys[INPUT_STALL] = "the scenario gives no training.input: devices never wait for data"
    if not projected:
        whys["projection"] = "the scenario names no scaling domain"
    if not timed:
        whys["time_to_target"] = "the scenario names no target: only the step was simulated"
        whys["campaign"] = "the scenario names no target: a campaign has an end"
    return {key: why for key, why in whys.items() if why}


SMALLER: Final = 0.9  # of the parameters the law asks for: sizes are solved in whole units
OFF_CURVE: Final = 0.05  # relative; the five curves of the paper pass within 4.4 % of its present errors
FAR: Final = 28
"""Multiples of the critical batch: the eight workloads of Shallue et al. 2019, figure 1, were tested up to 2.6 to 461
times theirs, half of them to 28."""


def extrapolated(
    scenario: Scenario, projection: Projection | None, goal: TimeToTarget | None, batch: int, parameters: float
) -> tuple[str, ...]:
    notes: list[str] = []
    domain = scenario.scaling
    if projection is not None and domain is not None:
        if not carried(domain, projection):
            notes.append(
                f"no band carries the standard errors of {domain.name}: its data repeat, or it has Kaplan's form"
            )
        notes += _beyond_the_fit(domain, projection) + _too_small(domain, projection, parameters) + _off_curve(domain)
    if goal is not None and goal.at_least:
        notes.append(f"the time is a lower bound: {goal.at_least}")
    critical = goal.critical_batch.samples if goal is not None and goal.critical_batch is not None else None
    if critical is not None and batch > FAR * critical:
        notes.append(
            f"the global batch is {batch / critical:.3g} times the critical batch of {critical:,.0f} samples; "
            f"half the workloads of Shallue et al. 2019 were tested up to {FAR} times theirs"
        )
    if scenario.accelerator.status != Status.SHIPPED:
        notes.append(f"the accelerator {scenario.accelerator.name} is {scenario.accelerator.status}")
    return tuple(notes)


def _too_small(domain: Domain, projection: Projection, parameters: float) -> list[str]:
    """A model the scenario makes smaller than the law asks: the time is not one to the target."""
    asked = projection.parameters
    if asked is None or parameters >= SMALLER * asked:
        return []
    reached = error_of_size(domain, parameters)
    if reached is None or reached <= projection.target_error:
        return []
    return [
        f"the size of the model is set by the scenario: {parameters:.3g} parameters, where the law asks for "
        f"{asked:.3g}; it can reach an error of {reached:.3g}, not {projection.target_error:g}"
    ]


def _off_curve(domain: Domain) -> list[str]:
    """A present that the curve does not pass through: ratios to today are then not those of the curve."""
    if domain.curve is None or domain.current_error is None or domain.current_units is None:
        return []
    off = consistency(domain)
    if abs(off) <= OFF_CURVE:
        return []
    return [
        f"the domain {domain.name} says an error of {domain.current_error:g} at {domain.current_units:.3g} "
        f"{domain.unit}s, its curve one of {domain.current_error * (1 + off):.3g}"
    ]


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


def part_names(scenario: Scenario) -> dict[str, str]:
    """What the parts beside model, chip and cluster are called, where there are any."""
    named = {
        "scaling": scenario.scaling,
        "host": scenario.host,
        "storage": scenario.storage,
        "input": scenario.training.input,
    }
    software = {"framework": scenario.framework.name, "software_date": scenario.software_date}
    return {key: part.name for key, part in named.items() if part is not None} | {
        k: v for k, v in software.items() if v
    }


PLAIN: Final = (float, str, int, type(None))  # what holds no source
PARTS: Final = ("accelerator", "cluster", "host", "storage", "scaling", "training")


def evidence_of(record: object, path: str) -> Iterator[Evidence]:
    """Every source that a part of the scenario and the records in it state."""
    if isinstance(record, Source) and record.text:
        yield Evidence(path, record.text, str(record.confidence))
    elif isinstance(record, Mapping | tuple):
        items = record.items() if isinstance(record, Mapping) else enumerate(record)
        for key, item in items:
            yield from evidence_of(item, f"{path}.{key}")
    elif is_dataclass(record):
        for name in _names(type(record)):  # type: ignore[arg-type]
            value = getattr(record, name)
            if name == "source" and value:
                yield Evidence(path, str(value), str(getattr(record, "confidence", "")))
            elif name.endswith("_source") and value:
                yield Evidence(f"{path}.{name.removesuffix('_source')}", str(value))
            elif name == "sources":  # of the groups of an accelerator's file
                yield from evidence_of(value, path)
            elif not isinstance(value, PLAIN):
                yield from evidence_of(value, f"{path}.{name}")


@cache
def _names(record: Any) -> tuple[str, ...]:
    """Fields of a record."""
    return tuple(field.name for field in fields(record))


def provenance(scenario: Scenario, inherited: tuple[Inherited, ...] = ()) -> Provenance:
    evidence = [Evidence("sources", text) for text in scenario.sources]
    evidence += [one for part in PARTS for one in evidence_of(getattr(scenario, part), part)]
    published = scenario.training.compute_s
    inputs = (
        (f"compute time per step {published.value:g} s, not computed here ({published.source})",) if published else ()
    )
    return Provenance(__version__, tuple(evidence), inputs, inherited)
