"""The closed form, the recursion and SimPy: one step, three ways to its time."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "plan"))

from test_plans_together import DENSE, MIXTURE, plans, possible
from tiny import CHIP, NUMERICS, cluster

from sim.engine import build, recursion, simulate_step, streams
from sim.engine.bound import Bound
from sim.network import Communicator
from sim.plan import Plan, StepRecord, prepare
from sim.plan.estimate import applies, lower_bound, step_time
from sim.plan.framework import Framework
from sim.plan.records import PipelineSchedule

FREE = {n: Communicator(cluster(n)) for n in (2**k for k in range(10))}
TAKING = {n: Communicator(cluster(n, compute_share=0.15, memory_share=0.1)) for n in (2**k for k in range(10))}


def in_full(record: StepRecord) -> float:
    """Every micro-batch followed, none extrapolated."""
    return max(recursion.run(build(record)).end)


def simple(plan: Plan) -> PipelineSchedule:
    """The schedule, where one stage can run it."""
    return PipelineSchedule.ONE_F_ONE_B if plan.schedule.splits else plan.schedule


@given(
    plan=plans(),
    taking=st.booleans(),
    alone=st.booleans(),
    passes=st.sampled_from((1, 2, 3, 12)),
    bucket=st.sampled_from((1.0, 4e6, 1e9)),
    rule=st.sampled_from(("none", "gradients", "all")),
)
@settings(max_examples=120, deadline=None)
def test_closed_form_recursion_and_simpy_agree(plan, taking, alone, passes, bucket, rule) -> None:
    """To 1e-9 wherever the closed form applies; nowhere below its bound."""
    batch = plan.sub_batch * plan.data * passes * plan.pipeline
    framework = replace(plan.framework, bucket_bytes=bucket, overlap_tensor=rule)
    plan = replace(plan, framework=framework, global_batch=batch)
    if alone:
        plan = replace(plan, pipeline=1, virtual_stages=1, stage_layers=(), schedule=simple(plan))
        plan = replace(plan, global_batch=plan.sub_batch * plan.data * passes)
    of = MIXTURE if plan.expert > 1 else DENSE
    assume(possible(plan, of))
    record = prepare(of, plan, NUMERICS, CHIP, (TAKING if taking else FREE)[plan.devices])
    full = in_full(record)
    assert simulate_step(record, "simpy").time_s == pytest.approx(full, rel=1e-9)
    assert simulate_step(record, "recursion").time_s == pytest.approx(full, rel=1e-9)
    assert lower_bound(record) <= full * (1 + 1e-9)
    if alone and plan.expert == 1 and plan.offload != "activations" and plan.schedule == "1f1b":
        assert applies(record)
    if applies(record):
        estimated = step_time(record)
        assert estimated is not None
        assert estimated == pytest.approx(full, rel=1e-9)


def test_the_closed_form_says_where_it_does_not_apply() -> None:
    """Pipelines, all forward passes first, gradients of experts beside others, activations sent to the host."""
    for plan in (
        Plan(1, 32, data=4, pipeline=4),
        Plan(1, 32, data=4, schedule="gpipe"),
        Plan(1, 32, data=4, expert=2),
        Plan(1, 32, data=4, offload="activations"),
    ):
        record = prepare(MIXTURE if plan.expert > 1 else DENSE, plan, NUMERICS, CHIP, FREE[plan.devices])
        assert not applies(record)
        assert step_time(record) is None


def test_a_stream_that_falls_behind_sets_the_end_in_time() -> None:
    """Activations sent to the host queue up behind a first gather of all parameters: the end of few passes is set
    by the kernels, that of many by the queue."""
    framework = Framework(bucket_bytes=1e9, overlap_tensor="none")
    plan = Plan(2, 48, data=2, tensor=4, context=2, expert=2, sharding="optimizer", offload="activations",
                framework=framework)  # fmt: skip
    record = prepare(MIXTURE, plan, NUMERICS, CHIP, FREE[plan.devices])
    for engine in ("simpy", "recursion"):
        assert simulate_step(record, engine).time_s == pytest.approx(in_full(record), rel=1e-9)


@pytest.mark.parametrize("chunks", [1, 2])
def test_once_the_gathers_are_in_all_stages_go_on_in_one_pass(chunks) -> None:
    """Prefetched parameters, 40 micro-batches followed: every end is that of SimPy, of a third of its events."""
    plan = Plan(1, 640, data=16, pipeline=4, virtual_stages=chunks, sharding="optimizer")
    record = prepare(DENSE, plan, NUMERICS, CHIP, TAKING[64])
    program = build(record)
    fast, slow = recursion.run(program), streams.run(program)
    assert fast.end == pytest.approx(slow.end, rel=1e-12)
    assert fast.events < slow.events / 3


@example(  # pieces between the reductions of every micro-batch
    plan=Plan(
        1,
        8,
        data=4,
        tensor=4,
        sharding="gradients",
        order=("context", "data", "tensor", "pipeline"),
        framework=Framework(overlap_gathers=False, reshard_after_forward=False, overlap_replicas=False),
    ),
    taking=False,
    passes=2,
    bucket=1.0,
    part="peak",
    times=1.01,
)
@given(
    plan=plans(),
    taking=st.booleans(),
    passes=st.sampled_from((1, 2, 3, 12)),
    bucket=st.sampled_from((1.0, 4e6, 1e9)),
    part=st.sampled_from(("peak", "memory", "overhead", "nothing")),
    times=st.sampled_from((1.01, 2.0, 8.0)),
)
@settings(max_examples=80, deadline=None)
def test_a_step_of_the_same_tasks_is_nowhere_below_its_bound(plan, taking, passes, bucket, part, times) -> None:
    """Simulated: a chip with one part faster, beside the bound from the step of the chip as it is."""
    batch = plan.sub_batch * plan.data * passes * plan.pipeline
    plan = replace(plan, framework=replace(plan.framework, bucket_bytes=bucket), global_batch=batch)
    of = MIXTURE if plan.expert > 1 else DENSE
    assume(possible(plan, of))
    faster = {
        "peak": {"compute": {f: replace(c, peak_flops=times * c.peak_flops) for f, c in CHIP.compute.items()}},
        "memory": {"memory": replace(CHIP.memory, bandwidth=times * CHIP.memory.bandwidth)},
        "overhead": {"kernel_overhead_s": CHIP.kernel_overhead_s / times},
        "nothing": {},
    }[part]
    links = (TAKING if taking else FREE)[plan.devices]
    before, after = (prepare(of, plan, NUMERICS, chip, links) for chip in (CHIP, replace(CHIP, **faster)))
    base = simulate_step(before, "recursion").time_s
    least = Bound(before, base).least_s(after)
    assert 0.0 < least <= simulate_step(after, "recursion").time_s * (1 + 1e-9)
    assert part != "nothing" or least == base
