"""Validation of whole runs: every row of a set becomes a scenario and is simulated."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from sim.engine.campaign.request import EvaluationRequest
from sim.errors import ForetrainError, InputError
from sim.files import build, document_of
from sim.files.scenario import text_document
from sim.result import Result
from sim.scenario import Scenario
from sim.simulation import simulate
from sim.validation.validation import Outcome, Request, ValidationSet

WITH_RECOMPUTE: Final = 4.0 / 3.0  # "hardware" FLOPs of published runs count a second forward pass, run or not

FIELDS: Final = (
    "step_time_s",
    "samples_per_s",
    "samples_per_s_evaluated",
    "seconds_per_sample",
    "samples_per_s_per_device",
    "units_per_s_per_device",
    "mfu",
    "hfu",
    "model_flops_per_s_per_device",
    "recompute_flops_per_s_per_device",
    "memory_bytes",
    "joules_per_unit",
    "communication_s",
    "exposed_communication_s",
)  # what a measured column of runs is compared with


def simulate_request(
    spec: ValidationSet, request: Request, simulate: Callable[[str], Outcome | str] | None = None
) -> Outcome | str:
    """Simulate one row, fitting or not (`fits` says which); a text says why it could not be."""
    return (simulate or outcome_of_text)(scenario_text(spec, request))


def scenario_text(spec: ValidationSet, request: Request) -> str:
    """The scenario a row becomes, without the row's name: equal rows have one text."""
    return json.dumps(_values(spec, request))


def outcome_of_text(text: str, change: Callable[[Scenario], Scenario] = lambda scenario: scenario) -> Outcome | str:
    """The outcome of a row's scenario, changed; a text says why there is none."""
    try:
        scenario = change(build(text_document(text, "row")))
        return outcome_of(simulated(scenario), scenario.campaign.evaluation)
    except InputError as error:
        return "; ".join(f"{p.path}: {p.rule} {p.value}".strip() for p in error.problems[:3])
    except ForetrainError as error:
        return str(error)


def row_scenario(spec: ValidationSet, request: Request) -> Scenario:
    """The scenario a row becomes."""
    return build(document_of(scenario_values(spec, request), f"{spec.name}/{request.id}"))


def simulated(scenario: Scenario, *, trace: bool = False) -> Result:
    """A row's result, fitting or not."""
    return simulate(scenario, must_fit=False, levers=False, engine="recursion", trace=trace)


def scenario_values(spec: ValidationSet, request: Request) -> dict[str, Any]:
    """The scenario a row becomes, as plain values; the name of its group is the set's own."""
    return {**_values(spec, request), "name": f"{spec.name}/{request.id}"}


def _values(spec: ValidationSet, request: Request) -> dict[str, Any]:
    return overlay(spec.template, {path: value for path, value in request.overrides.items() if path != "group"})


def outcome_of(result: Result, evaluation: EvaluationRequest | None = None) -> Outcome:
    """The comparable figures of a result; `samples_per_s_evaluated` has the pauses of `evaluation` in its time."""
    step = result.step
    batch = result.plan.global_batch
    pauses_s = 0.0  # per step
    if evaluation is not None:
        once = evaluation.pause_s(step.compute_s / batch, result.plan.framework.evaluation_gap_s)
        pauses_s = once * batch / evaluation.every_samples
    units = batch * (result.units_per_sample or 1.0)
    return Outcome(
        fields={
            "step_time_s": step.time_s,
            "samples_per_s": batch / step.time_s,
            "samples_per_s_evaluated": batch / (step.time_s + pauses_s),
            "seconds_per_sample": step.time_s / batch,
            "samples_per_s_per_device": batch / step.time_s / result.devices,
            "units_per_s_per_device": units / step.time_s / result.devices,
            "mfu": result.mfu,
            "hfu": result.hfu,
            "model_flops_per_s_per_device": step.model_flops / step.time_s / result.devices,
            "recompute_flops_per_s_per_device": WITH_RECOMPUTE * step.model_flops / step.time_s / result.devices,
            "memory_bytes": result.fullest.total_bytes,
            "joules_per_unit": result.energy.step_j / units if result.energy else 0.0,
            "communication_s": sum(step.communication_s.values()),
            "exposed_communication_s": step.exposed_communication_s,
        },
        accelerator=result.accelerator,
        ideal_s=result.mfu * step.time_s,
        compute_share=step.compute_s / step.time_s,
        fits=all(device.fits for device in result.memory),
        time_parts_s={
            "compute_s": step.compute_s,
            "exposed_communication_s": step.exposed_communication_s,
            "bubble_s": step.bubble_s,
            "input_stall_s": step.input_stall_s,
        },
        memory_bytes=dict(result.fullest.bytes_by_kind),
    )


def overlay(template: Mapping[str, object], overrides: Mapping[str, object]) -> dict[str, Any]:
    """The template with every `a.b.c: value` laid over it; a library name on the way becomes what it extends.

    A mapping that takes a whole part's place keeps the part's leaves set before (`cluster.devices` of a column).
    """
    values: dict[str, Any] = copy.deepcopy(dict(template))
    for path, whole in overrides.items():
        value = whole
        path = "framework.name" if path == "framework" and isinstance(whole, str) else path
        if isinstance(whole, Mapping):
            start = f"{path}."
            below = {key.removeprefix(start): item for key, item in overrides.items() if key.startswith(start)}
            value = {**whole, **{key: item for key, item in below.items() if "." not in key and key != "extends"}}
        *parents, leaf = path.split(".")
        node = values
        for key in parents:
            part = node.get(key)
            if not isinstance(part, dict):
                part = node[key] = {} if part is None else {"name" if key == "framework" else "extends": part}
            node = part
        node[leaf] = value
    return values
