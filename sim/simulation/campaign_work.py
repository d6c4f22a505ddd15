"""What the campaign of a scenario runs: every time priced, every component counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from math import ceil, isfinite, prod
from typing import Final

from sim.engine.campaign import renewal
from sim.engine.campaign.checkpoints import CHECKPOINT_POLICIES, CopyTimes, Failing
from sim.engine.campaign.failures import FAILURE_PROCESSES, FailureProcess
from sim.engine.campaign.records import Blast, Phase, Source, Tier, Work
from sim.engine.campaign.recovery import RECOVERIES
from sim.engine.campaign.request import FailureRequest
from sim.engine.records import Step
from sim.errors import ForetrainError, InputError, Problem, Unreachable, UnreachableError
from sim.network import TOPOLOGIES
from sim.network.surroundings import MEASURED_ON_BLOOM
from sim.ops import BYTES_PER_ELEMENT
from sim.plan.records import Plan
from sim.result import TimeToTarget
from sim.scenario import Scenario
from sim.simulation.planning import choose_plan, has_tables, model_of
from sim.simulation.stepping import run_step
from sim.workload.records import Model, Numerics
from sim.workload.update import MOMENTS

START_S: Final = 17.0
START_NODE_S: Final = 0.13
"""Job start, communicators and warm-up: 17 s and 0.13 s per node. From the logs of MLPerf Training v2.0, ResNet-50 in
MXNet on DGX A100: init_start to init_stop 17.1 s on 1 node, 18.7 on 8, 45.1 on 128, 84.7 on 527 (own reduction)."""
HOPELESS: Final = 100.0
"""Expected wall time over useful time beyond which a campaign makes no progress worth simulating."""
DEVICES_PER_HOST: Final = 8  # where neither the host nor the lowest level of the cluster says


def work_of(
    scenario: Scenario, model: Model, plan: Plan, step: Step, step_s: float, goal: TimeToTarget
) -> tuple[Work, tuple[str, ...], tuple[tuple[str, float], ...]]:
    """The campaign priced; what was assumed for it; the intervals between copies that theory names."""
    campaign, recovery = scenario.campaign, scenario.campaign.recovery
    each = devices_per_node(scenario)
    nodes = ceil(plan.devices / each)
    unit = replaced_together(scenario, each)
    places = ceil(plan.devices / unit)
    _check_spares(scenario, places)
    sources = tuple(_source(request, index, scenario, plan, nodes) for index, request in enumerate(campaign.failures))
    sources = tuple(replace(source, nodes=min(ceil(source.nodes * each / unit), places)) for source in sources)
    swap_s = scenario.cluster.optical.reconfigure_s if scenario.cluster.optical else 0.0
    restart_s = recovery.restart_s if recovery.restart_s is not None else START_S + START_NODE_S * nodes
    work = Work(
        phases=(),
        recovery=RECOVERIES[recovery.policy](),
        sources=sources,
        nodes=places,
        spares=recovery.spares,
        repair_s=recovery.repair_s or 0.0,
        detect_s=recovery.detect_s + swap_s if sources else 0.0,
        restart_s=restart_s,
        startup_s=campaign.startup_s,
        maintenance=(campaign.maintenance.every_s, campaign.maintenance.lasts_s) if campaign.maintenance else None,
        slow_factor=max((f.slow_factor for f in campaign.failures if f.slow_factor), default=1.0),
        slow_found_s=max((f.found_s for f in campaign.failures if f.found_s), default=0.0),
        price=_elastic(scenario, model, plan, step, unit) if RECOVERIES[recovery.policy].elastic else None,
    )
    times, notes = _copy_times(scenario, model, plan, step, nodes)
    if sources and unit > each:
        notes = (f"a failed node takes its block of {unit:,} devices out, for a spare one after {swap_s:g} s", *notes)
    phases = tuple(
        _with_pauses(phase, batch, scenario, plan, step, times, work)
        for phase, batch in _phases(scenario, model, plan, step_s, goal)
    )
    work = replace(work, phases=phases)
    _require_progress(work, plan)
    return work, notes, _intervals(work)


def devices_per_node(scenario: Scenario) -> int:
    """Devices that share a host."""
    levels = scenario.cluster.levels
    if scenario.host is not None:
        return scenario.host.accelerators
    if levels and not TOPOLOGIES[levels[0].topology].many_sizes and levels[0].size <= 2 * DEVICES_PER_HOST:
        return levels[0].size
    return DEVICES_PER_HOST


def replaced_together(scenario: Scenario, each: int) -> int:
    """Devices that leave with a failed one and that a spare stands for: a node's, or a block's of optical switches."""
    optical = scenario.cluster.optical
    return max(each, prod(optical.block)) if optical else each


def _check_spares(scenario: Scenario, places: int) -> None:
    """InputError for more spares than places, and for spares of a torus, whose cables lead to neighbours only."""
    spares, cluster, path = scenario.campaign.recovery.spares, scenario.cluster, "campaign.recovery.spares"
    if spares is None:
        return
    if spares > places:
        rule = f"must be at most the {places} {'blocks' if cluster.optical else 'nodes'} of the plan"
        raise InputError(Problem(rule, path, str(spares)))
    if spares and cluster.levels and TOPOLOGIES[cluster.levels[-1].topology].grid and not cluster.optical:
        rule = f"a {cluster.levels[-1].topology} takes no spare node: its cables lead to neighbours, without switches"
        raise InputError(
            Problem(rule, path, str(spares), hint="spares: 0 waits for repairs; cluster.optical brings blocks in")
        )


def _source(request: FailureRequest, index: int, scenario: Scenario, plan: Plan, nodes: int) -> Source:
    """Components that fail, counted: those the plan uses."""
    campaign = scenario.campaign
    rack, domain = campaign.nodes_per_rack, campaign.nodes_per_power_domain
    known: dict[str, tuple[int, int, Blast]] = {
        "device": (plan.devices, 1, Blast.DEVICE),
        "link": (plan.devices, 1, Blast.NODE),
        "node": (nodes, 1, Blast.NODE),
        "switch": (ceil(nodes / rack), rack, Blast.RACK),
        "rack": (ceil(nodes / rack), rack, Blast.RACK),
        "power_domain": (ceil(nodes / domain), domain, Blast.POWER_DOMAIN),
    }
    count, hit, blast = known[request.component]
    mtbf = request.mtbf_s
    if mtbf is None and request.component == "device":
        mtbf = scenario.accelerator.mtbf_s
    if mtbf is None:
        who = f"the accelerator {scenario.accelerator.name} has none" if request.component == "device" else "no default"
        raise InputError(Problem(f"is required ({who})", f"campaign.failures.{index}.mtbf", hint="like 50000 h"))
    return Source(
        request.component, _process(request), request.count or count, mtbf, min(hit, nodes), blast,
        request.slow_factor is not None,
    )  # fmt: skip


def _process(request: FailureRequest) -> FailureProcess:
    """The process asked for, with the parameters of its own."""
    cls = FAILURE_PROCESSES[request.process]
    process: FailureProcess = cls(**{parameter.name: getattr(request, parameter.name) for parameter in fields(cls)})
    return process


def _phases(
    scenario: Scenario, model: Model, plan: Plan, step_s: float, goal: TimeToTarget
) -> list[tuple[Phase, float]]:
    """The phases asked for with the scenario's own between them, each with its global batch."""
    found: list[tuple[Phase, float]] = []
    units = goal.samples * model.units_per_sample

    def own(share: float) -> None:
        if share == 1.0:
            found.append((Phase("training", goal.steps, step_s), plan.global_batch))
        elif share > 0.0:
            found.append((Phase("training", goal.steps * share, step_s), plan.global_batch))

    at = 0.0
    for index, request in enumerate(scenario.campaign.phases):
        own(request.start - at)
        workload = scenario.workload
        asked = replace(
            scenario,
            workload=replace(workload, sizes={**workload.sizes, **request.sizes}),
            plan=replace(scenario.plan, search=False, global_batch=request.global_batch or plan.global_batch),
        )
        try:
            other = model_of(asked, None)
            its_plan, _ = choose_plan(asked, other)
        except InputError as error:
            raise InputError(*(replace(p, path=f"campaign.phases.{index}") for p in error.problems)) from None
        priced = run_step(asked, other, its_plan).time_s
        steps = (request.end - request.start) * units / other.units_per_sample / its_plan.global_batch
        found.append((Phase(f"phase {index + 1}", steps, priced), its_plan.global_batch))
        at = request.end
    own(1.0 - at)
    return found


def _with_pauses(
    phase: Phase, batch: float, scenario: Scenario, plan: Plan, step: Step, times: CopyTimes | None, work: Work
) -> Phase:
    """A phase with its copies and evaluations."""
    request, evaluation = scenario.campaign.checkpoints, scenario.campaign.evaluation
    tiers: tuple[Tier, ...] = ()
    if request is not None and times is not None:
        stopping = [source for source in work.sources if not source.slows]
        rates = Failing(
            narrow=sum(source.rate for source in stopping if source.blast <= Blast.NODE),
            wide=sum(source.rate for source in stopping if source.blast > Blast.NODE),
        )
        if rates.rate == 0.0 and request.interval_s is None:
            raise InputError(
                Problem("is required where nothing fails: no interval is best then", "campaign.checkpoints.interval")
            )
        tiers = CHECKPOINT_POLICIES[request.policy]().tiers(times, phase.step_s, rates, request.interval_s)
        if scenario.storage is not None and scenario.storage.local:
            tiers = tuple(replace(tier, survives=min(tier.survives, Blast.DEVICE)) for tier in tiers)
    pause = None
    if evaluation is not None:
        seconds = evaluation.pause_s(step.compute_s / plan.global_batch, plan.framework.evaluation_gap_s)
        pause = (max(1.0, round(evaluation.every_samples / batch)), seconds)
    return replace(phase, tiers=tiers, evaluation=pause)


def state_bytes(model: Model, numerics: Numerics) -> float:
    """What has to be kept to go on: weights, the copy the optimiser updates, its moments."""
    moments = MOMENTS[numerics.optimizer] * BYTES_PER_ELEMENT[numerics.optimizer_format]
    master = BYTES_PER_ELEMENT[numerics.master] if numerics.master else 0.0
    return model.parameters * (BYTES_PER_ELEMENT[numerics.weights] + master + moments)


def _copy_times(
    scenario: Scenario, model: Model, plan: Plan, step: Step, nodes: int
) -> tuple[CopyTimes | None, tuple[str, ...]]:
    """Seconds a copy takes on its way. Every device moves its own part; one replica's state is read and passed on."""
    request = scenario.campaign.checkpoints
    if request is None:
        return None, ()
    size = request.size_bytes or state_bytes(model, scenario.workload.numerics)
    storage = scenario.storage or MEASURED_ON_BLOOM
    notes = [f"a copy of the state: {size:.4g} B"]
    if scenario.storage is None and (request.write_s is None or request.read_s is None):
        notes.append("storage not given: 1.2 GB/s per node, as measured on BLOOM's (confidence C)")
    write_s = request.write_s if request.write_s is not None else size / storage.write_bandwidth(nodes)
    read_s = request.read_s if request.read_s is not None else size / storage.read_bandwidth(nodes)
    link = scenario.host.link_bandwidth if scenario.host else None
    to_host = size / plan.devices / link if link else write_s if request.policy != "synchronous" else 0.0
    if link is None and request.policy != "synchronous":
        notes.append("no host given: the copy to its memory takes as long as a write")
    wire = _node_bandwidth(scenario)
    peer_s = size / nodes / wire if wire else write_s
    interference = request.interference
    if interference is None:
        busy = size / nodes / write_s / wire if wire else 0.0
        interference = min(1.0, busy) * step.exposed_communication_s / step.time_s
    return CopyTimes(write_s, read_s, to_host, peer_s, interference), tuple(notes)


def _node_bandwidth(scenario: Scenario) -> float | None:
    """What one node sends into the fabric (B/s)."""
    levels = scenario.cluster.levels
    if len(levels) < 2:
        return None
    fabric = levels[1]
    return fabric.link.bandwidth * fabric.link.efficiency * (fabric.nics or levels[0].size)


def _elastic(scenario: Scenario, model: Model, plan: Plan, step: Step, each: int) -> Callable[[int], float]:
    """Nodes at work → how many times longer a step of the same batch takes: fewer data ranks, each with more passes."""
    inner = plan.devices // plan.data

    def price(nodes: int) -> float:
        data = nodes * each // inner
        passes = ceil(plan.global_batch / (data * plan.sub_batch)) if data else 0
        expert = min(plan.expert, data * (plan.copies // plan.data)) if has_tables(model) else plan.expert
        if data < 1 or expert > data * (plan.copies // plan.data):
            return float("inf")
        smaller = replace(plan, data=data, expert=expert, global_batch=data * plan.sub_batch * passes)
        try:
            return run_step(scenario, model, smaller).time_s / step.time_s
        except ForetrainError:
            return float("inf")

    return price


# -- whether it gets anywhere ----------------------------------------------------------------------------------------


def _require_progress(work: Work, plan: Plan) -> None:
    """UnreachableError where failures come faster than copies can be made, with what would help."""
    rate, phase = work.rate, work.phases[0]
    if rate == 0.0:
        return
    if not phase.tiers:
        useful, pause, again = work.ideal_s, 0.0, work.detect_s + work.restart_s
    else:
        tier = phase.tiers[0]
        useful, pause = min(tier.every * phase.step_s, work.ideal_s), tier.pause_s + tier.lag_s
        again = work.detect_s + work.restart_s + tier.restore_s
    ratio = renewal.segment_s(rate, useful, pause, again) / useful
    if ratio < HOPELESS and pause < 1.0 / rate:
        return
    if not phase.tiers:
        statement = (
            f"without checkpoints the {work.ideal_s:.4g} s of steps would have to pass between two failures, which are "
            f"{1 / rate:.4g} s apart on average: no progress; lever: campaign.checkpoints"
        )
        raise UnreachableError(Unreachable(statement))
    best = renewal.optimal_interval_s(rate, pause)
    shorter = renewal.goodput(rate, best, pause, again)
    faster = renewal.goodput(rate, renewal.optimal_interval_s(rate, pause / 10), pause / 10, again)
    fewer = renewal.goodput(rate / 10, renewal.optimal_interval_s(rate / 10, pause), pause, again)
    statement = (
        f"a checkpoint takes {pause:.4g} s after {useful:.4g} s of steps, and {plan.devices:,} devices fail every "
        f"{1 / rate:.4g} s: no progress; levers: an interval of {best:.4g} s gives a goodput of {100 * shorter:.2g} %, "
        f"storage ten times as fast {100 * faster:.2g} %, a tenth of the devices {100 * fewer:.2g} %"
    )
    raise UnreachableError(Unreachable(statement))


def _intervals(work: Work) -> tuple[tuple[str, float], ...]:
    """Seconds of steps between copies of the first tier: as simulated, and what theory says for its pause."""
    rate, phase = work.rate, work.phases[0]
    if not phase.tiers or not isfinite(phase.tiers[0].every):
        return ()
    tier = phase.tiers[0]
    rows = [("simulated", tier.every * phase.step_s)]
    if rate > 0.0 and tier.pause_s > 0.0:
        rows += [
            ("exact optimum", renewal.optimal_interval_s(rate, tier.pause_s)),
            ("Young", renewal.young_interval_s(rate, tier.pause_s)),
            ("Daly", renewal.daly_interval_s(rate, tier.pause_s)),
        ]
    return tuple(rows)
