"""What limits a step, and the changes of hardware or plan that shorten it most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from sim.engine import Step
from sim.engine.bound import Bound
from sim.errors import InfeasibleError, InputError, Lever
from sim.network import wider
from sim.plan.check import check_plan
from sim.plan.feasible import fullest
from sim.plan.memory import device_memory
from sim.plan.records import Plan
from sim.plan.step_record import StepRecord
from sim.result import Bottleneck
from sim.scenario import Scenario
from sim.simulation.feeding import faster_storage, input_limit
from sim.simulation.planning import bounds_of, search_plan
from sim.simulation.stepping import record_of, slowest_of
from sim.workload.records import Launch, Model, Recompute

LEVERS_SHOWN: Final = 3  # of hardware
PLANS_SHOWN: Final = 2
WORTH: Final = 0.995  # of the step; what shortens it less is no lever
CO_LIMITED: Final = 0.75  # of the largest part: a part of that size limits the step as well
STARVED: Final = 0.02  # share of the step spent waiting for data from which on input is what limits it


def bottleneck_of(
    scenario: Scenario,
    model: Model,
    plan: Plan,
    step: Step,
    levers: bool,
    searched: bool = False,
    record: StepRecord | None = None,
) -> Bottleneck:
    """The largest part of the step, and the changes of hardware or plan that shorten it most; `searched`: among them
    the best of all plans, as it is and with twice the memory; `record`: of the step, to pass over what cannot be among
    them.
    """
    parts = {
        "compute": step.compute_s - step.memory_bound_s - step.overhead_s,
        "memory": step.memory_bound_s,
        "kernel launch": step.overhead_s,
        "communication": step.exposed_communication_s,
        "pipeline bubble": step.bubble_s,
        "input": step.input_stall_s,
    }
    starved = step.input_stall_s > STARVED * step.time_s  # whatever else is faster, the wait grows by as much
    limit = "input" if starved else max(parts, key=lambda name: parts[name])
    said = {
        "compute": "arithmetic at the achievable rate of the matrix and vector units",
        "memory": "kernels that wait for device memory",
        "kernel launch": "launching kernels that are too small",
        "communication": "collectives that no computation hides",
        "pipeline bubble": "stages waiting for their neighbours",
        "input": f"waiting for training data: the limit is {input_limit(scenario, plan)}" if starved else "",
    }
    shares = {name: 100 * part / step.time_s for name, part in parts.items()}
    statement = f"{shares[limit]:.0f} % of the step is {said[limit]}."
    if beside := [n for n in parts if n != limit and not starved and parts[n] > CO_LIMITED * parts[limit]]:
        also = ", ".join(f"{shares[name]:.0f} % {said[name]}" for name in beside)
        statement = f"{statement.removesuffix('.')}, {also}: co-limited."
    if not levers or (scenario.training.compute_s is not None and limit == "compute"):
        return Bottleneck(limit, statement)
    bound = Bound(record, step.time_s) if record is not None and _as_priced(scenario) else None
    hardware = ((change, altered, plan) for change, altered in _changes(scenario, plan))
    plans = chain(_plans(scenario, model, plan), _searched(scenario, model, plan) if searched else ())
    shown = (*_tried(model, step, bound, hardware, LEVERS_SHOWN), *_tried(model, step, bound, plans, PLANS_SHOWN))
    return Bottleneck(limit, statement, tuple(sorted(shown, key=lambda lever: lever.effect or 0.0)))


def _as_priced(scenario: Scenario) -> bool:
    """Whether nothing but the record of a step and its plan is in its time."""
    training = scenario.training
    return not (training.compute_s or training.slow_devices or training.input or scenario.speedups)


def _tried(
    model: Model, step: Step, bound: Bound | None, changes: Iterable[tuple[str, Scenario, Plan]], shown: int
) -> list[Lever]:
    """The changes that shorten the step most, the best first; one that needs more memory than there is says so.

    One that cannot be among them is not simulated.
    """
    priced: list[tuple[float, int, str, Scenario, Plan, StepRecord]] = []
    for change, scenario, plan in changes:
        with suppress(InputError, InfeasibleError):
            record = record_of(scenario, model, plan)
            least = bound.least_s(record) if bound is not None else 0.0
            priced.append((least, len(priced), change, scenario, plan, record))
    found: list[tuple[float, int, str, Scenario, Plan]] = []
    for least, place, change, scenario, plan, record in sorted(priced, key=itemgetter(0, 1)):
        worst = found[shown - 1][0] if len(found) >= shown else WORTH * step.time_s
        if least > worst * (1 + 1e-9):
            continue
        with suppress(InputError, InfeasibleError):
            faster = slowest_of(scenario, plan, record, "recursion")[1].time_s
            if faster < WORTH * step.time_s:
                found = sorted([*found, (faster, place, change, scenario, plan)], key=itemgetter(0, 1))
    return [_lever(model, *lever) for lever in found[:shown]]


def _lever(model: Model, faster: float, place: int, change: str, scenario: Scenario, plan: Plan) -> Lever:
    full = fullest(device_memory(model, plan, scenario.workload.numerics, scenario.accelerator))
    need, have = full.needed_bytes / 2**30, full.capacity_bytes / 2**30
    note = "" if full.fits else f"needs {need:.4g} GiB a device, has {have:.4g}"
    return Lever(change, faster, "step_time_s", note)


def _plans(scenario: Scenario, model: Model, plan: Plan) -> Iterator[tuple[str, Scenario, Plan]]:
    """Other plans of the same devices and batch, and other software, that a user could choose."""
    numerics = scenario.workload.numerics
    if numerics.launch != Launch.GRAPH:
        workload = replace(scenario.workload, numerics=replace(numerics, launch=Launch.GRAPH))
        yield "launch: graph", replace(scenario, workload=workload), plan
    for change, fields in _fields(plan):
        try:
            other = replace(plan, **fields)
            check_plan(other, scenario.cluster.devices, **bounds_of(model))
        except InputError:
            continue
        yield change, scenario, other


def _searched(scenario: Scenario, model: Model, plan: Plan) -> Iterator[tuple[str, Scenario, Plan]]:
    """The best of all plans of the same devices and batch; what no search varies stays as it is."""
    from sim.search.plans import SEARCHED  # noqa: PLC0415  (only when asked for)

    names = (*SEARCHED, "recompute", "order")
    open_: dict[str, Any] = dict.fromkeys(names)
    kept = replace(scenario.plan, **open_, recompute_layers=None, saved_ops=(), search=True)
    chip = scenario.accelerator
    larger = replace(chip, memory=replace(chip.memory, capacity_bytes=2 * chip.memory.capacity_bytes))
    for memory, accelerator in (("", chip), ("2x the memory, ", larger)):
        asked = replace(scenario, accelerator=accelerator, plan=kept)
        try:
            best = search_plan(asked, model, plan.global_batch).best
        except (InputError, InfeasibleError):
            continue
        varied = [name for name in names if getattr(best, name) != getattr(plan, name)]
        if varied:
            said = ", ".join(f"{name}: {_yaml(getattr(best, name))}" for name in varied)
            yield f"{memory}plan: {{{said}}}", asked, best


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _fields(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    """Single changes of a plan."""
    if plan.devices > 1 and not plan.framework.overlap_gradients:
        framework = replace(plan.framework, overlap_gradients=True)
        yield "overlap gradients with backward", {"framework": framework}
    if plan.sparse_embeddings and plan.data > 1:
        yield "gradients of embeddings whole, not as rows", {"sparse_embeddings": False}
    if plan.recompute != Recompute.NONE:
        yield "recompute: none", {"recompute": Recompute.NONE, "recompute_layers": None, "saved_ops": ()}
    if plan.micro_batches > plan.pipeline:
        yield f"sub_batch: {2 * plan.sub_batch}", {"sub_batch": 2 * plan.sub_batch}
    if plan.pipeline > 1 and plan.virtual_stages == 1 and not plan.stage_layers:
        yield "virtual_stages: 2", {"virtual_stages": 2}
    if plan.tensor > 1 and plan.tensor % 2 == 0:
        halved = {"tensor": plan.tensor // 2, "data": 2 * plan.data}
        yield f"tensor: {plan.tensor // 2}, data: {2 * plan.data}", halved


def _changes(scenario: Scenario, plan: Plan) -> Iterator[tuple[str, Scenario]]:
    """Single changes of the hardware, each with the scenario it leads to."""
    chip, cluster = scenario.accelerator, scenario.cluster
    faster = {f: replace(c, peak_flops=2 * c.peak_flops) for f, c in chip.compute.items()}
    yield "2x the peak FLOP/s", replace(scenario, accelerator=replace(chip, compute=faster))
    memory = replace(chip.memory, bandwidth=2 * chip.memory.bandwidth)
    yield "2x the memory bandwidth", replace(scenario, accelerator=replace(chip, memory=memory))
    cache = replace(chip.cache, capacity_bytes=4 * chip.cache.capacity_bytes)
    yield "4x the on-chip cache", replace(scenario, accelerator=replace(chip, cache=cache))
    if chip.kernel_overhead_s > 0:
        chip_fast = replace(chip, kernel_overhead_s=chip.kernel_overhead_s / 2)
        yield "half the kernel overhead", replace(scenario, accelerator=chip_fast)
    if scenario.training.input is not None and scenario.host is not None:
        yield "2x the host cores", replace(scenario, host=replace(scenario.host, cores=2 * scenario.host.cores))
        yield "2x the storage bandwidth", replace(scenario, storage=faster_storage(scenario.storage))
    if plan.devices > 1:
        yield "2x the link bandwidth", replace(scenario, cluster=wider(cluster, 2))
