"""All axes of a plan in combination: what holds for every plan, whatever it combines."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "plan"))

from tiny import CHIP, NUMERICS, cluster, model

from sim.engine import simulate_step
from sim.errors import InputError
from sim.network import Communicator
from sim.plan import Plan, check_plan, device_memory, prepare
from sim.plan.framework import Framework
from sim.plan.groups import AXES
from sim.plan.records import PipelineSchedule

DENSE = model(depth=16)
MIXTURE = model(depth=16, experts=8, top_k=2)
COMMUNICATORS = {n: Communicator(cluster(n)) for n in (2**k for k in range(10))}
SHARDING = ("none", "optimizer", "gradients", "full")
RECOMPUTE = ("none", "selective", "full")

CASES = {
    "data": Plan(2, 64, data=8),
    "optimizer sharded": Plan(2, 64, data=8, sharding="optimizer"),
    "gradients sharded, accumulated": Plan(2, 64, data=8, sharding="gradients"),
    "fully sharded": Plan(2, 64, data=8, sharding="full"),
    "fully sharded in groups": Plan(2, 64, data=16, sharding="full", shard_group=8),
    "tensor, pipeline, data": Plan(1, 32, data=4, tensor=2, pipeline=4, sequence_parallel=True),
    "interleaved": Plan(1, 32, data=4, pipeline=4, virtual_stages=2),
    "interleaved, sharded": Plan(1, 32, data=4, pipeline=4, virtual_stages=2, sharding="optimizer"),
    "gpipe": Plan(1, 32, data=4, pipeline=4, schedule="gpipe"),
    "gradients of weights later": Plan(1, 32, data=4, pipeline=4, schedule="zb-h1", sharding="optimizer"),
    "gradients of weights later, tensor parallel": Plan(
        1, 32, data=4, tensor=2, pipeline=4, schedule="zb-h1", sequence_parallel=True
    ),
    "gradients of weights later, fully sharded": Plan(1, 32, data=4, pipeline=4, schedule="zb-h1", sharding="full"),
    "down and back": Plan(1, 64, data=4, pipeline=4, schedule="zb-v", sharding="optimizer", recompute="full"),
    "both directions": Plan(1, 64, data=4, pipeline=4, schedule="dualpipe", sharding="optimizer"),
    "both directions, fully sharded": Plan(1, 64, data=4, pipeline=4, schedule="dualpipe", sharding="full"),
    "both directions, activations on the host": Plan(
        1, 64, data=4, pipeline=4, schedule="dualpipe", offload="activations"
    ),
    "uneven": Plan(1, 32, data=4, pipeline=4, stage_layers=(3, 5, 5, 3)),
    "uneven interleaved": Plan(1, 16, data=2, pipeline=2, virtual_stages=2, stage_layers=(3, 5, 5, 3)),
    "fully sharded pipeline": Plan(1, 32, data=4, pipeline=4, sharding="full"),
    "fully sharded interleaved": Plan(1, 32, data=4, pipeline=4, virtual_stages=2, sharding="full"),
    "context": Plan(1, 32, data=2, tensor=2, context=4, sharding="optimizer"),
    "layer by layer recomputation": Plan(2, 64, data=4, pipeline=2, recompute="full", recompute_layers=3),
    "optimizer on the host": Plan(2, 64, data=4, pipeline=2, sharding="optimizer", offload="optimizer"),
    "activations on the host": Plan(2, 64, data=4, sharding="full", offload="activations"),
    "products kept": Plan(2, 64, data=4, pipeline=2, recompute="full", saved_ops=("products", "attention.core")),
    "products on the host": Plan(2, 64, data=4, recompute="full", saved_ops=("mlp.up",), offload="saved_ops"),
    "gathered after the gradients": Plan(
        2, 64, data=8, sharding="full", framework=Framework(backward_prefetch="post", reshard_after_forward=False)
    ),
    "gathered behind the reduction": Plan(
        2, 64, data=8, sharding="full", framework=Framework(backward_prefetch="none")
    ),
    "copies summed at the end": Plan(
        2, 64, data=16, sharding="full", shard_group=8, framework=Framework(overlap_replicas=False)
    ),
    "no overlap": Plan(
        2,
        64,
        data=4,
        pipeline=2,
        sharding="optimizer",
        framework=Framework(overlap_gradients=False, overlap_gathers=False),
    ),
    "fully sharded, no overlap": Plan(
        2, 64, data=8, sharding="full", framework=Framework(overlap_gradients=False, overlap_gathers=False)
    ),
}


def made(plan: Plan, of=DENSE):
    return prepare(of, plan, NUMERICS, CHIP, COMMUNICATORS[plan.devices])


def holds(plan: Plan, of) -> None:
    """Both engines agree; parts are finite, not negative and add up; the timeline is that step, nothing overlaps."""
    prepared = made(plan, of)
    step, fast = simulate_step(prepared, "simpy"), simulate_step(prepared, "recursion")
    assert step.time_s == pytest.approx(fast.time_s, rel=1e-9)
    parts = (step.compute_s, step.exposed_communication_s, step.bubble_s, step.input_stall_s)
    assert sum(parts) == pytest.approx(step.time_s, rel=1e-9)
    of_compute = (step.memory_bound_s, step.overhead_s, step.update_s)
    everything = (step.time_s, *parts, *of_compute, *step.communication_s.values())
    assert all(math.isfinite(value) and value >= 0.0 for value in everything)
    assert step.memory_bound_s + step.overhead_s <= step.compute_s * (1 + 1e-9)
    for device in device_memory(of, plan, NUMERICS, CHIP):
        assert all(math.isfinite(nbytes) and nbytes >= 0.0 for nbytes in device.bytes_by_kind.values())
    traced = simulate_step(prepared, "simpy", trace=True)
    assert traced.time_s == pytest.approx(step.time_s, rel=1e-6)
    never_overlaps(traced)


def never_overlaps(step) -> None:
    tracks = defaultdict(list)
    for s in step.slices:
        assert 0.0 <= s.start_s <= s.end_s <= step.time_s * (1 + 1e-9)
        if s.end_s > s.start_s:
            tracks[s.track].append((s.start_s, s.end_s))
    for spans in tracks.values():
        for (_, end), (start, _) in pairwise(sorted(spans)):
            assert start >= end - 1e-9 * step.time_s


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_plan_holds_together(name: str) -> None:
    """Dense model; each kind once, so that none is left to chance."""
    holds(CASES[name], DENSE)


@pytest.mark.parametrize("name", ["data", "fully sharded", "tensor, pipeline, data", "fully sharded pipeline"])
def test_experts_join_every_kind(name: str) -> None:
    """Mixture of eight experts, spread over two ranks."""
    holds(replace(CASES[name], expert=2), MIXTURE)


@st.composite
def plans(draw):
    pipeline, data = draw(st.sampled_from((1, 2, 4))), draw(st.sampled_from((1, 2, 4, 8)))
    schedule = PipelineSchedule(draw(st.sampled_from(tuple(PipelineSchedule)[: 5 if pipeline > 1 else 2])))
    chunks = draw(st.sampled_from((1, 2))) if pipeline > 1 and not schedule.splits else 1
    sub_batch, passes = draw(st.sampled_from((1, 2))), draw(st.sampled_from((1, 2, 4, 8)))
    places = Plan(1, 1, pipeline=pipeline, virtual_stages=chunks, schedule=schedule).places
    counts = [16 // places] * places
    if draw(st.booleans()) and len(counts) > 1:
        counts[0], counts[-1] = counts[0] - 1, counts[-1] + 1
    return Plan(
        sub_batch,
        sub_batch * passes * data,
        data=data,
        tensor=draw(st.sampled_from((1, 2, 4))),
        pipeline=pipeline,
        context=draw(st.sampled_from((1, 2))),
        expert=draw(st.sampled_from((1, 2, 4))),
        sequence_parallel=draw(st.booleans()),
        virtual_stages=chunks,
        schedule=schedule,
        stage_layers=tuple(counts),
        sharding=draw(st.sampled_from(SHARDING)),
        shard_group=draw(st.sampled_from((0, 2))),
        recompute=draw(st.sampled_from(RECOMPUTE)),
        recompute_layers=draw(st.sampled_from((None, 1))),
        offload=draw(st.sampled_from(("none", "optimizer", "activations"))),
        framework=Framework(
            overlap_gradients=draw(st.booleans()),
            overlap_gathers=draw(st.booleans()),
            backward_prefetch=draw(st.sampled_from(("pre", "post", "none"))),
            reshard_after_forward=draw(st.booleans()),
            overlap_replicas=draw(st.booleans()),
            overlap_experts=draw(st.booleans()),
        ),
        order=draw(st.sampled_from(tuple(permutations(AXES)))),
    )


def possible(plan: Plan, of) -> bool:
    try:
        check_plan(plan, plan.devices, blocks=of.depth, heads=of.heads, experts=of.experts or None)
    except InputError:
        return False
    return True


@given(plan=plans())
@settings(max_examples=40, deadline=None)
def test_any_combination_of_axes_holds_together(plan: Plan) -> None:
    """Whatever `check_plan` lets pass."""
    of = MIXTURE if plan.expert > 1 else DENSE
    assume(possible(plan, of))
    holds(plan, of)


def fullest(plan: Plan, of) -> float:
    return max(device.total_bytes for device in device_memory(of, plan, NUMERICS, CHIP))


@given(plan=plans())
@settings(max_examples=50, deadline=None)
def test_what_saves_memory_never_costs_memory(plan: Plan) -> None:
    """More sharding, recomputation, offloading or cutting never holds more on the fullest device.

    Full sharding gathers two whole blocks: it is compared where a stage has more of them, and no experts that lie
    spread over the ranks already. Where some blocks are recomputed and all are offloaded, two of the largest are taken
    to be under way whichever runs: an upper bound, which recomputation of one block may raise.
    """
    of = MIXTURE if plan.expert > 1 else DENSE
    assume(possible(plan, of))
    least = fullest(plan, of)
    others = [replace(plan, tensor=plan.tensor * 2), replace(plan, context=plan.context * 2)]
    others += [replace(plan, sharding=s) for s in SHARDING[SHARDING.index(plan.sharding) + 1 : 3]]
    if plan.offload != "activations" or plan.recompute_layers is None:
        others += [replace(plan, recompute=r) for r in RECOMPUTE[RECOMPUTE.index(plan.recompute) + 1 :]]
    whole = plan.pipeline == plan.expert == 1 and plan.data > 2
    whole = whole and plan.framework.reshard_after_forward
    others += [replace(plan, sharding="full", shard_group=0)] * whole
    others += [replace(plan, sequence_parallel=True)]
    others += [replace(plan, schedule="1f1b")] * (plan.schedule != "zb-v")  # which holds other blocks on each stage
    others += [replace(plan, offload=where) for where in ("optimizer", "activations") if plan.offload == "none"]
    for other in others:
        if possible(other, of):
            assert fullest(other, of) <= least * (1 + 1e-12), other


def test_full_sharding_under_a_pipeline_gathers_for_every_micro_batch() -> None:
    """Each stage gathers its blocks for every forward and backward pass: bytes on the wire grow with micro-batches."""
    few, many = (made(Plan(1, 4 * m, data=4, pipeline=4, sharding="full")) for m in (4, 8))
    gathered = [simulate_step(p).communication_s["data"] for p in (few, many)]
    assert gathered[1] == pytest.approx(2 * gathered[0], rel=0.02)
