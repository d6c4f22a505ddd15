"""The report of one run: what an architect reads in ten seconds, and the same as one JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from math import ceil
from typing import Any, Final, get_args

from sim.errors import Lever
from sim.ops import Axis
from sim.plan.energy import Energy
from sim.plan.framework import Framework
from sim.plan.records import AXES as RANK_ORDER
from sim.plan.records import DeviceMemory, Plan, Sharding
from sim.report.campaign import campaign_json, campaign_text
from sim.report.speedups import speedups_text
from sim.report.tables import Column, Table, in_one_unit
from sim.report.text import DAY, bar, duration, gib, percent, si, table, three
from sim.result import SCHEMA_VERSION, Band, Result, TimeToTarget
from sim.scenario import Objective
from sim.study.metrics import METRICS
from sim.study.metrics import values as metric_values
from sim.units import Dimension, format_quantity
from sim.workload.records import Recompute

AXES = get_args(Axis)
WH = 3600.0  # J
LEAST_SHARE = 5e-4  # of a step: what rounds to nothing is left out
UNLIMITED = 1e16  # bytes of one device: a capacity no part has, given to leave memory out of a question
LEVER_WIDTH = 34  # at least
SHOWN_SLOWDOWN = 1.005  # what rounds to nothing is in the JSON only


BANDS: Final = (
    ("dataset_units", "data", ""),
    ("parameters", "parameters", ""),
    ("energy_j", "energy", "Wh"),
    ("cost_usd", "cost", "USD"),
    ("devices", "devices", ""),
)  # headline numbers beside the time, as they are called


def render(result: Result) -> str:
    """The answer first, then the time budget, memory, the bottleneck and the levers."""
    parts = [
        _answer(result),
        _budget(result),
        campaign_text(result.campaign),
        speedups_text(result.speedups),
        _memory(result),
        _expense(result),
        _bottleneck(result),
        _search(result),
        _notes(result),
    ]
    return "\n\n".join(part for part in parts if part)


def answer_line(result: Result) -> str:
    """The answer in one line: the time to the target, or of a step, and on what."""
    goal, projection = result.time_to_target, result.projection
    shape = f" as {result.shape}" if result.shape else ""
    where = f"{result.devices:,} x {result.accelerator} ({result.cluster}{shape})"
    if goal is None:
        return f"{duration(result.step.time_s)} per step on {where}"
    target = f"an error of {projection.target_error:g}" if projection else "the target"
    bound = "at least (one pass) " if goal.at_least else ""
    return f"{bound}{duration(goal.seconds)} to {target} on {where}"


def _answer(result: Result) -> str:
    plan, goal, projection = result.plan, result.time_to_target, result.projection
    lines = [f"{result.name}: {answer_line(result)}"]
    if projection:
        today = f" ({three(projection.data_scale)}x today)" if projection.data_scale else ""
        size = f", {si(projection.parameters)} parameters" if projection.parameters else ""
        lines.append(f"  projected: {si(projection.dataset_units)} units of data{today}{size}")
    lines.append(f"  model: {result.workload}, {si(result.parameters)} parameters{_whose_size(result)}")
    lines.append(f"  {plan_line(result)}")
    if goal:
        lines.append(f"  {_steps_line(result, goal)}")
        if goal.p05_s is not None and goal.p95_s is not None and not (result.campaign and result.campaign.seeds):
            lines.append(
                f"  under jitter between {duration(goal.p05_s)} and {duration(goal.p95_s)} (5th to 95th percentile)"
            )
        lines += _band_lines(result)
        lines += _batch_lines(goal, plan.global_batch, projection is not None)
    return "\n".join(lines)


def _steps_line(result: Result, goal: TimeToTarget) -> str:
    """The steps, as long as they are on average; what else takes time, where something does; a pass over the data."""
    step_s = result.spread.mean_s if result.spread else result.step.time_s
    share = goal.steps * step_s / goal.seconds
    mean = " on average" if result.spread else ""
    rest = "" if abs(share - 1.0) < SHOWN_SLOWDOWN - 1.0 else f" ({percent(share)} of the time)"
    return (
        f"{goal.steps:,.0f} steps of {duration(step_s)}{mean}{rest} at a global batch of {result.plan.global_batch:,}; "
        f"one pass over the data takes {duration(goal.days_per_epoch * DAY)}"
    )


def _band_lines(result: Result) -> list[str]:
    """The band of the time and the two constants that make it."""
    chosen = [f"  chosen of {result.considered} plans for the least {result.objective} to the target"]
    lines = chosen if result.considered else []
    found = result.uncertainty
    if found is None:
        return lines
    band = found.bands["time_to_target_s"]
    causes = ", ".join(f"{cause.name} {percent(cause.share)}" for cause in found.causes[:3] if cause.share)
    between = f"between {duration(band.p05)} and {duration(band.p95)} (5th to 95th percentile)"
    shown = [f"{word} {_span(found.bands[key], unit)}" for key, word, unit in BANDS if key in found.bands]
    return [*lines, f"  {between}; variance from {causes}", f"  likewise: {'; '.join(shown)}"]


def _span(band: Band, unit: str) -> str:
    """`3.51 G to 10.9 G`; one figure where nothing uncertain moves it."""
    low, high = (si(value / (3600.0 if unit == "Wh" else 1.0), unit) for value in (band.p05, band.p95))
    return low if low == high else f"{low} to {high}"


def _batch_lines(goal: TimeToTarget, batch: int, projected: bool) -> list[str]:
    lines = []
    if goal.at_least:
        lines.append(f"  at least: {goal.at_least}")
    elif goal.passes is not None:
        lines.append(f"  {three(goal.passes)} passes at small batch ({goal.passes_source})")
    if goal.days_per_epoch_full is not None:
        full = duration(goal.days_per_epoch_full * DAY)
        lines.append(f"  one pass, were every place of a sequence a unit of data: {full}")
    if goal.critical_batch is None and not projected:
        return lines
    if goal.critical_batch is None:
        lines.append("  no critical batch is known for this domain: no more samples are counted for a large batch")
        return lines
    critical = goal.critical_batch
    samples = critical.samples or math.inf
    lines.append(
        f"  critical batch {samples:,.0f} samples ({critical.measured_at or 'given'}): "
        f"batch {batch:,} needs {three(1 + batch / samples)}x the samples"
    )
    for other, seconds in goal.alternatives:
        lines.append(
            f"  with the critical batch {other.samples or 0:,.0f} ({other.measured_at}): "
            f"{duration(seconds)} to the target"
        )
    return lines


def _whose_size(result: Result) -> str:
    """Whether the size is the projection's."""
    asked = result.projection.parameters if result.projection else None
    if not asked or abs(result.parameters / asked - 1.0) < 0.05:
        return ""
    return f" as the scenario sets them, {three(result.parameters / asked)}x what the target asks for"


def plan_line(result: Result) -> str:
    """Every field of the plan that is not its default, as YAML to copy."""
    rule = (
        "" if result.sub_batch is None else f"  # sub-batch at {percent(result.sub_batch.efficiency)} of the best rate"
    )
    framework = _given(result.plan.framework)
    return f"plan: {_given(result.plan)}{rule}" + (f"\n  framework: {framework}" if framework != "{}" else "")


def _given(record: Plan | Framework) -> str:
    """Fields that are not their default, as YAML."""
    given = ((f, getattr(record, f.name)) for f in fields(record) if f.name != "framework")
    told = (f"{f.name}: {_yaml(value, f.metadata.get('dimension'))}" for f, value in given if value != f.default)
    return "{" + ", ".join(told) + "}"


def _yaml(value: object, dimension: Dimension | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and dimension is not None:
        return format_quantity(value, dimension, digits=12)
    return f"[{', '.join(map(_quoted, value))}]" if isinstance(value, tuple) else _quoted(value)


def _quoted(value: object) -> str:
    """As it stands, or in quotation marks where YAML would read a pattern as something else."""
    return json.dumps(str(value)) if str(value)[:1] in "*?[" else str(value)


def _budget(result: Result) -> str:
    step = result.step
    rows: list[tuple[str, float]] = [
        ("on the device", step.compute_s),
        ("  of it memory-bound", step.memory_bound_s),
        ("  of it launching kernels", step.overhead_s),
        ("exposed communication", step.exposed_communication_s),
        ("waiting in the pipeline", step.bubble_s),
        ("waiting for input", step.input_stall_s),
    ]
    lines = [f"Step {duration(step.time_s)}{_rates(result)}"]
    rows = [(name, seconds) for name, seconds in rows if seconds >= LEAST_SHARE * step.time_s]
    for (name, seconds), time in zip(rows, in_one_unit([seconds for _, seconds in rows]), strict=True):
        share = seconds / step.time_s
        mark = bar(share) if not name.startswith(" ") else ""
        lines.append(f"  {name:<26} {time:>10} {percent(share):>7}  {mark}".rstrip())
    if result.spread is not None:
        spread = result.spread
        lines.append(
            f"  with jitter of {percent(spread.jitter)}: mean {duration(spread.mean_s)}, "
            f"5th to 95th percentile {duration(spread.p05_s)} to {duration(spread.p95_s)}"
        )
    lines.append(
        f"  mfu {percent(result.mfu)} (model FLOPs over peak, causal attention as a whole square), "
        f"hfu {percent(result.hfu)} (executed FLOPs over peak, the half that runs)"
    )
    return "\n".join(lines)


def _rates(result: Result) -> str:
    """Samples and units per second of all devices, and the model's FLOP/s of one."""
    step, batch = result.step, result.plan.global_batch
    units = result.units_per_sample
    per_unit = f" ({si(batch * units / step.time_s)} units/s)" if units > 1 else ""
    flops = si(step.model_flops / step.time_s / result.devices, "FLOP/s")
    return f": {si(batch / step.time_s)} samples/s{per_unit}, {flops} of the model per device"


def _memory(result: Result) -> str:
    full = result.fullest
    head = (
        f"Memory of the fullest devices ({full.name}, {full.count:,} of {result.devices:,}): "
        f"{gib(full.total_bytes)} of {'unlimited' if full.capacity_bytes > UNLIMITED else gib(full.capacity_bytes)}"
    )
    tight = "  tight: fits once the allocator gives free blocks back" if full.tight else ""
    lines = [head + (tight if full.fits else "  DOES NOT FIT")]
    for kind, nbytes in full.bytes_by_kind.items():
        if nbytes > 0:
            lines.append(f"  {kind:<26} {gib(nbytes):>10}  {bar(nbytes / full.capacity_bytes)}")
    if full.offloaded_bytes > 0:
        lines.append(f"  {'offloaded, beside it':<26} {gib(full.offloaded_bytes):>10}")
    return "\n".join(lines)


def _movement(energy: Energy) -> str:
    """What a FLOP and a byte at each level cost, and their shares of the step."""
    levels = ", ".join(
        f"{level} {1e12 * joules:.3g} ({percent(energy.by_kind.get(level, 0.0) / energy.step_j)})"
        for level, joules in energy.byte_j.items()
    )
    flop = "" if energy.flop_j is None else f"a FLOP {1e12 * energy.flop_j:.3g} pJ, "
    return f"  {flop}a byte moved, pJ (share of the step): {levels}"


def _expense(result: Result) -> str:
    """Energy to the target (of a step where there is none) by kind, and what the devices cost."""
    lines = []
    energy, cost = result.energy, result.cost
    if energy is not None:
        movement = sum(energy.by_kind.get(kind, 0.0) for kind in ("cache", "memory", "link"))
        kinds = {"arithmetic": energy.by_kind["arithmetic"], "movement": movement}
        kinds |= {kind: energy.by_kind[kind] for kind in ("idle", "busy") if kind in energy.by_kind}
        step = f"{si(energy.step_j / WH, 'Wh')} per step"
        total = step if energy.target_j is None else f"{si(energy.target_j / WH, 'Wh')} to the target"
        shares = ", ".join(f"{kind} {percent(joules / energy.step_j)}" for kind, joules in kinds.items())
        lines.append(f"Energy of the devices {total}, {energy.mean_device_w:,.0f} W per device: {shares}")
        lines.append(_movement(energy))
    if cost is not None:
        hours = f", {si(cost.device_hours)} device hours" if cost.device_hours is not None else ""
        price = "not known" if cost.devices_usd is None else si(cost.devices_usd, "USD")
        lines.append(f"Price of the devices {price}{hours}")
    if cost is not None and cost.total_usd is not None:
        paid = ", ".join(f"{kind} {si(usd, 'USD')}" for kind, usd in cost.by_kind.items())
        lines.append(f"Cost of the training {si(cost.total_usd, 'USD')}: {paid}")
    if result.site is not None:
        site = result.site
        lines.append(
            f"Energy of the site {si(site.site_j / WH, 'Wh')} (nodes {si(site.node_j / WH, 'Wh')}, devices that wait "
            f"{si(site.waiting_j / WH, 'Wh')}), {si(1e3 * site.carbon_kg, 'g')} of CO2"
        )
    return "\n".join(lines)


def _bottleneck(result: Result) -> str:
    bottleneck = result.bottleneck
    lines = [f"Bottleneck: {bottleneck.limit}. {bottleneck.statement}"]
    if bottleneck.levers:
        lines.append("What would help most:")
        width = max(LEVER_WIDTH, *(len(lever.change) for lever in bottleneck.levers))
        lines += [f"  {lever.change:<{width}} {lever_effect(lever, result)}" for lever in bottleneck.levers]
    return "\n".join(lines)


def _time_with(lever: Lever, result: Result) -> float | None:
    """Seconds to the target with a lever, where both are known."""
    goal = result.time_to_target
    if lever.effect is None or goal is None or lever.quantity == "time_to_target_s":
        return lever.effect if goal else None
    return goal.seconds * lever.effect / result.step.time_s if lever.quantity == "step_time_s" else None


def _bottleneck_json(result: Result) -> dict[str, Any]:
    """What limits the step, and every lever with the quantity it changes and the time to the target with it."""
    levers = [asdict(each) | {"time_to_target_s": _time_with(each, result)} for each in result.bottleneck.levers]
    return asdict(result.bottleneck) | {"levers": levers}


def lever_effect(lever: Lever, result: Result) -> str:
    """The time to the target with a lever, or the step where there is no target."""
    if lever.effect is not None and lever.quantity == "time_to_target_s":
        return f"target in {duration(lever.effect)}, {lever.note}"
    if lever.effect is None or lever.quantity != "step_time_s":
        return lever.note
    ratio, seconds = result.step.time_s / lever.effect, _time_with(lever, result)
    text = f"step {duration(lever.effect)}" if seconds is None else f"target in {duration(seconds)}"
    return f"{text}, {three(ratio)}x faster{f' ({lever.note})' if lever.note else ''}"


def _held(memory: DeviceMemory) -> str:
    return gib(memory.total_bytes) + (" (tight)" if memory.tight else "")


def _search(result: Result) -> str:
    """Where the plan was searched: the best ones and why each loses."""
    if result.search is None:
        return ""
    header = ["plan", "step", "memory", "why"]
    rows = [
        [_degrees(ranked.plan), duration(ranked.step.time_s), _held(ranked.memory), ranked.why]
        for ranked in result.search.ranked
    ]
    weighed = result.objective in (Objective.ENERGY, Objective.COST)
    best = f"the best for the {result.objective}" if weighed else "the fastest"
    head = f"Plans: {result.search.fitting:,} of {result.search.considered:,} fit; {best}, simulated:"
    kept = ", ".join(f"{name} {result.search.kept[name]}" for name in ("schedule", "shard_group"))  # the rest: the JSON
    tail = f"\n  not searched, kept: {kept}, the framework and all else as given"
    return head + "\n" + table(header, rows, indent="  ") + tail


def _degrees(plan: Plan) -> str:
    """A plan in short: degrees, sub-batch, what is sharded, recomputed, interleaved, and a rank order off the usual."""
    parts = [f"tp{plan.tensor} pp{plan.pipeline} dp{plan.data}", f"b{plan.sub_batch}"]
    parts += [f"{axis[0]}p{getattr(plan, axis)}" for axis in AXES[3:] if getattr(plan, axis) > 1]
    parts += [f"v{plan.virtual_stages}"] * (plan.virtual_stages > 1)
    parts += [f"{plan.sharding} sharded"] * (plan.sharding != Sharding.NONE)
    parts += [f"{plan.recompute} recompute"] * (plan.recompute != Recompute.NONE)
    parts += [f"order {'-'.join(axis[0] for axis in plan.order)}"] * (plan.order != RANK_ORDER)
    return " ".join(parts)


def _notes(result: Result) -> str:
    lines = [f"input: {text}" for text in result.provenance.inputs]
    lines += [f"extrapolated: {text}" for text in result.extrapolated]
    lines += [
        f"inherited: {one.constant} {one.value:.3g} of generation {one.generation}, "
        f"without which the step were {one.slowdown:.2f}x faster"
        for one in result.provenance.inherited
        if one.slowdown >= SHOWN_SLOWDOWN
    ]
    return "\n".join(lines)


def as_table(result: Result) -> Table:
    """The figures that studies tabulate, in one row."""
    figures = zip(METRICS, metric_values(result), strict=True)
    names, cells = zip(("name", result.name), *figures, strict=True)
    return Table(tuple(Column(name, "text" if name == "name" else "number") for name in names), (cells,))


def to_json(result: Result) -> dict[str, Any]:
    """The object `run --json` prints: SI numbers with the unit in the key, null with a reason where no model exists."""
    body: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "scenario": {
            "name": result.name,
            "description": result.description,
            "workload": result.workload,
            "parameters": result.parameters,
            "active_parameters": result.active_parameters,
            "accelerator": result.accelerator,
            "cluster": result.cluster,
            "devices": result.devices,
            "shape": result.shape or None,
            **result.parts,
        },
        "projection": asdict(result.projection) if result.projection else None,
        "plan": _plan_json(result),
        "memory": {
            "devices": [_device_json(device) for device in result.memory],
            "per_device": _device_json(result.fullest),
        },
        "step": _step_json(result),
        "campaign": campaign_json(result.campaign),
        "speedups": asdict(result.speedups) if result.speedups else None,
        "time_to_target": _goal_json(result.time_to_target),
        "objective": {"name": str(result.objective), "considered": result.considered},
        "uncertainty": asdict(result.uncertainty) if result.uncertainty else None,
        "energy": asdict(result.energy) if result.energy else None,
        "cost": asdict(result.cost) if result.cost else None,
        "site": asdict(result.site) if result.site else None,
        "bottleneck": _bottleneck_json(result),
        "extrapolated": list(result.extrapolated),
        "provenance": asdict(result.provenance) | {"sources": list(result.provenance.sources)},
    }
    for key, reason in result.missing.items():
        whole = body["step"] if key in body["step"] else body
        whole |= {key: None, f"{key}_reason": reason}
    return body


def _plan_json(result: Result) -> dict[str, Any]:
    plan = result.plan
    body: dict[str, Any] = {
        "devices": plan.devices,
        **_degrees_json(plan),
        "sub_batch": plan.sub_batch,
        "global_batch": plan.global_batch,
        "micro_batches": plan.micro_batches,
    }
    rest = asdict(plan)
    for key in AXES:
        rest.pop(key)
    chosen = asdict(result.sub_batch) | {"efficiency": result.sub_batch.efficiency} if result.sub_batch else None
    return body | rest | {"sub_batch_choice": chosen, "search": _search_json(result)}


def _search_json(result: Result) -> dict[str, Any] | None:
    """The plans simulated, best first; null where the plan was given."""
    if result.search is None:
        return None
    usual, shared = asdict(Plan(1, 1)), {*AXES, "framework"}
    ranked = [
        {
            **_degrees_json(r.plan),
            **{k: v for k, v in asdict(r.plan).items() if k not in shared and v != usual[k]},
            "order": list(r.plan.order),
            "step_time_s": r.step.time_s,
            "compute_s": r.step.compute_s,
            "exposed_communication_s": r.step.exposed_communication_s,
            "bubble_s": r.step.bubble_s,
            "memory_bytes": r.memory.total_bytes,
            "capacity_bytes": r.memory.capacity_bytes,
            "why": r.why,
        }
        for r in result.search.ranked
    ]
    return {
        "considered": result.search.considered,
        "fitting": result.search.fitting,
        "kept": {key: asdict(result.plan)[key] for key in result.search.kept},
        "ranked": ranked,
    }


def _degrees_json(plan: Plan) -> dict[str, Any]:
    return {f"{axis}_parallel": getattr(plan, axis) for axis in AXES}


def _device_json(device: DeviceMemory) -> dict[str, Any]:
    kinds: Mapping[str, float] = device.bytes_by_kind
    return {
        "name": device.name,
        "count": device.count,
        **{f"{kind}_bytes": nbytes for kind, nbytes in kinds.items()},
        "total_bytes": device.total_bytes,
        "capacity_bytes": device.capacity_bytes,
        "offloaded_bytes": device.offloaded_bytes,
        "tiers_bytes": device.tiers_bytes if device.tiers_bytes < UNLIMITED else None,
        "fits": device.fits,
    }


def _step_json(result: Result) -> dict[str, Any]:
    body = {k: v for k, v in asdict(result.step).items() if k != "slices"}
    body["communication_s"] = dict(result.step.communication_s)
    rate = result.plan.global_batch / result.step.time_s
    return body | {
        "samples_per_s": rate,
        "units_per_s": rate * result.units_per_sample,
        "model_flops_per_s_per_device": result.step.model_flops / result.step.time_s / result.devices,
        "spread": asdict(result.spread) if result.spread else None,
        "mfu": result.mfu,
        "hfu": result.hfu,
        "mfu_definition": "model FLOPs (attention counted full, no recompute) / (step time x devices x dense peak)",
        "hfu_definition": "executed FLOPs (recompute and causal attention as run) / (step time x devices x dense peak)",
    }


def _goal_json(goal: TimeToTarget | None) -> dict[str, Any] | None:
    if goal is None:
        return None
    body = asdict(goal)
    body["steps"] = ceil(goal.steps * (1.0 - 1e-12))  # the last one may be begun for less than a batch
    body["alternatives"] = [{"critical_batch": asdict(c), "seconds": s} for c, s in goal.alternatives]
    if goal.p50_s is None:
        body["p05_s_reason"] = "neither jitter nor failures were simulated, so there is no band"
    return body
