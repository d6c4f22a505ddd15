"""What limits a step, and the changes of hardware or plan that shorten it most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sim.engine import Step
from sim.errors import InfeasibleError, InputError, Lever
from sim.network.records import Cluster, LinkType
from sim.plan.records import Plan
from sim.result import Bottleneck
from sim.scenario import Scenario
from sim.simulation.feeding import faster_storage, input_limit
from sim.simulation.stepping import run_step
from sim.workload.records import Model, Recompute

LEVERS_SHOWN: Final = 3
STARVED: Final = 0.02  # share of the step spent waiting for data from which on input is what limits it


def bottleneck_of(scenario: Scenario, model: Model, plan: Plan, step: Step, levers: bool) -> Bottleneck:
    """The largest part of the step, and the changes of hardware or plan that shorten it most."""
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
    statement = f"{100 * parts[limit] / step.time_s:.0f} % of the step is {said[limit]}."
    if not levers or (scenario.training.compute_s is not None and limit == "compute"):
        return Bottleneck(limit, statement)
    found = []
    for change, altered, altered_plan in _changes(scenario, plan):
        try:
            faster = run_step(altered, model, altered_plan, engine="recursion").time_s
        except (InputError, InfeasibleError):
            continue
        if faster < 0.995 * step.time_s:
            found.append((faster, Lever(change, faster, "step_time_s")))
    found.sort(key=lambda item: item[0])
    return Bottleneck(limit, statement, tuple(lever for _, lever in found[:LEVERS_SHOWN]))


def _changes(scenario: Scenario, plan: Plan) -> Iterator[tuple[str, Scenario, Plan]]:
    """Single changes an architect or user could make, each with the scenario and plan it leads to."""
    chip, cluster = scenario.accelerator, scenario.cluster
    faster = {f: replace(c, peak_flops=2 * c.peak_flops) for f, c in chip.compute.items()}
    yield "2x the peak FLOP/s", replace(scenario, accelerator=replace(chip, compute=faster)), plan
    memory = replace(chip.memory, bandwidth=2 * chip.memory.bandwidth)
    yield "2x the memory bandwidth", replace(scenario, accelerator=replace(chip, memory=memory)), plan
    cache = replace(chip.cache, capacity_bytes=4 * chip.cache.capacity_bytes)
    yield "4x the on-chip cache", replace(scenario, accelerator=replace(chip, cache=cache)), plan
    if chip.kernel_overhead_s > 0:
        chip_fast = replace(chip, kernel_overhead_s=chip.kernel_overhead_s / 2)
        yield "half the kernel overhead", replace(scenario, accelerator=chip_fast), plan
    if scenario.training.input is not None and scenario.host is not None:
        yield "2x the host cores", replace(scenario, host=replace(scenario.host, cores=2 * scenario.host.cores)), plan
        yield "2x the storage bandwidth", replace(scenario, storage=faster_storage(scenario.storage)), plan
    if plan.devices > 1:
        yield "2x the link bandwidth", replace(scenario, cluster=_wider(cluster)), plan
        if not plan.framework.overlap_gradients:
            yield "overlap gradients with backward", scenario, _overlapped(plan)
    if plan.sparse_embeddings and plan.data > 1:
        yield "gradients of embeddings whole, not as rows", scenario, replace(plan, sparse_embeddings=False)
    if plan.recompute == Recompute.FULL:
        yield "no recomputation (needs memory)", scenario, replace(plan, recompute=Recompute.NONE, saved_ops=())


def _overlapped(plan: Plan) -> Plan:
    """Gradients reduced during backward."""
    return replace(plan, framework=replace(plan.framework, overlap_gradients=True))


def _wider(cluster: Cluster) -> Cluster:
    """Every link twice as wide."""

    def twice(link: LinkType) -> LinkType:
        return replace(link, bandwidth=2 * link.bandwidth)

    return replace(
        cluster,
        levels=tuple(replace(level, link=twice(level.link)) for level in cluster.levels),
        edges=tuple(replace(edge, bandwidth=2 * edge.bandwidth) for edge in cluster.edges),
    )
